# Each sets up what it needs: a virtual environment in .venv with the pinned packages.
#   make quickstart   run the embedded default, print its table, write results/quickstart/report.html
#   make tiny         run the whole pipeline on synthetic data
#   make test         pass the tests and the static checks
#   make test-slurm   run a tiny pipeline on a Slurm cluster of this machine, where Slurm is installed
#   make docs         write docs/config.md and schemas/config.schema.json
#   make lock         pin the packages of envs/requirements.in; UPGRADE=--upgrade takes their newest versions

PYTHON ?= $(firstword $(foreach version,3.11 3.12 3.13,$(shell command -v python$(version))))
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
QUICKSTART := snakemake --cores all --workflow-profile profiles/quickstart

.PHONY: quickstart tiny test test-slurm check environment docs lock

quickstart: environment
	$(QUICKSTART)
	@$(QUICKSTART) --quiet all --report results/quickstart/report.html
	@cat results/quickstart/summary.md
	@echo "report: results/quickstart/report.html"

tiny: environment
	python recipes/synthetic.py
	snakemake --cores all --max-threads 1 --configfile recipes/tiny.yaml
	@cat results/tiny/summary.md

test: environment check
	pytest

test-slurm: environment
	@PYTHONPATH=scripts:recipes:tests:tests/workflow python tests/slurm/run.py

check: environment
	ruff check
	ruff format --check
	snakefmt --check .
	mypy
	snakemake --lint

docs: environment
	python scripts/describe_config.py --config config.yaml --schema schemas/config.schema.json --page docs/config.md

environment: .venv/installed

# torch first and alone: pip's settings, or an environment that is there already, decide which build it is
.venv/installed: envs/requirements.in envs/requirements.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "make: expected python3.11, python3.12 or python3.13 on the PATH," \
		"found $(or $(PYTHON),none); PYTHON=<path> names another"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $$(grep '^torch==' envs/requirements.in)
	$(BIN)/python -m pip install --quiet --requirement envs/requirements.txt
	@touch $@

# uv reads its settings in pyproject.toml; conda's environment holds the same pins, for Snakemake copies that file alone
lock:
	uv pip compile --quiet $(UPGRADE) envs/requirements.in --output-file envs/requirements.txt
	{ sed '/^      - /d' envs/pipeline.yaml; grep '^torch==' envs/requirements.in; \
		sed -n 's/^\([a-z0-9.-]*==[^\\]*[^ \\]\) *\\$$/\1/p' envs/requirements.txt; } \
		| sed 's/^\([a-z].*==.*\)/      - \1/' > envs/pipeline.yaml.new
	mv envs/pipeline.yaml.new envs/pipeline.yaml
