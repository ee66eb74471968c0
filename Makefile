# Both commands set up all they need: a virtual environment in .venv with the pinned packages.
#   make quickstart   run the embedded default, print its table, write results/quickstart/report.html
#   make test         pass the tests and the static checks

PYTHON ?= python3.11
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
QUICKSTART := snakemake --cores all --workflow-profile profiles/quickstart

.PHONY: quickstart test check environment

quickstart: environment
	$(QUICKSTART)
	@$(QUICKSTART) --quiet all --report results/quickstart/report.html
	@cat results/quickstart/summary.md
	@echo "report: results/quickstart/report.html"

test: environment check
	pytest

check: environment
	ruff check
	ruff format --check
	snakefmt --check .
	snakemake --lint

environment: .venv/installed

# torch first and alone: its version is pinned, so that nothing else draws in another build of it
.venv/installed: envs/requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet torch==$$(sed -n 's/^torch==//p' envs/requirements.txt)
	$(BIN)/python -m pip install --quiet -r envs/requirements.txt
	@touch $@
