"""Run the workflow on a tiny configuration in a copy of the checkout."""

import atexit
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import yaml

from synthetic import write_data

REPOSITORY = Path(__file__).parents[2]
PARTS = ["Snakefile", "config.yaml", "rules", "scripts", "schemas", "recipes", "report", "envs", "profiles"]
RUN = "tiny"


def copy_checkout(folder: Path) -> Path:
    """Copy what the workflow is made of, so that a test may edit it."""
    folder.mkdir(parents=True)
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, folder / part)
    return folder


def tiny_config(folder: Path, teacher: Path) -> dict:
    """Write texts and task tables into ``folder`` and return recipes/tiny.yaml over them, with numbers of others."""
    write_data(folder)
    recipe = (REPOSITORY / "recipes" / "tiny.yaml").read_text(encoding="utf-8")
    recipe = recipe.replace("path:synthetic/teacher", f"path:{teacher}").replace("path:synthetic/", f"path:{folder}/")
    config = yaml.safe_load(recipe)
    config["evaluation"]["references"] = ["small", "absent"]
    return config | {"reference": {"small": {"a card": {"Avg": 50.0}}, "absent": {"a card": {"STS": 60.0}}}}


def changed(config: dict, path: str, value) -> dict:
    """The config with another value under a dotted path."""
    *parents, last = path.split(".")
    section = config
    for name in parents:
        section = section[name]
    section[last] = value
    return config


NO_HUB = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}


def command(checkout: Path, *arguments: str, config: dict | None = None, hub: dict[str, str] = NO_HUB) -> dict:
    """The arguments of ``subprocess`` for Snakemake in a checkout, with an overlay where one is given."""
    parts = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    if config is not None:
        overlay = checkout / "overlay.yaml"
        overlay.write_text(yaml.safe_dump(config), encoding="utf-8")
        parts += ["--configfile", str(overlay)]
    # no activated environment, and a home in which nothing can be written; Snakemake has to have a cache
    homeless = {"PATH": os.defpath, "HOME": os.devnull, "XDG_CACHE_HOME": str(checkout.parent / "cache")}
    environment = os.environ | homeless | hub
    return {"args": parts, "cwd": checkout, "env": environment, "encoding": "utf-8"}


@cache
def forking_python() -> Path:
    """The `python` that ``forked.py`` makes, one for all tests."""
    folder = Path(mkdtemp())
    arguments = [sys.executable, Path(__file__).with_name("forked.py"), folder]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    process.stdout.readline()
    atexit.register(shutil.rmtree, folder)
    atexit.register(process.communicate)  # closes its input, at which it ends
    return folder / "python"


def snakemake(
    checkout: Path, *arguments: str, config: dict | None = None, hub: dict[str, str] = NO_HUB, jobs_fork: bool = True
) -> subprocess.CompletedProcess:
    """Run Snakemake in a checkout, with an overlay where one is given; ``hub`` is the hub's environment.

    Libraries read that when they are imported, so with another hub the jobs do not fork.
    """
    run = command(checkout, *arguments, config=config, hub=hub)
    run["args"][0] = str(forking_python())
    if jobs_fork and hub == NO_HUB:
        run["env"] |= {"JOBS_FORK": "1"}
    return subprocess.run(**run, errors="replace", stdin=subprocess.DEVNULL, capture_output=True, check=False)


def planned(done: subprocess.CompletedProcess) -> dict[str, int]:
    """The jobs of a dry run: how many of each rule; empty where there is nothing to be done."""
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    if "Nothing to be done" in output:
        return {}
    table = output.split("Job stats:")[1].split("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
