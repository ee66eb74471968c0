"""Run the workflow on a tiny configuration in a copy of the checkout."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars
import yaml
from conftest import TOPICS, made_sentences

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
    """Write texts and task tables into ``folder`` and return an overlay that uses them."""
    folder.mkdir(parents=True)
    (folder / "corpus").mkdir()
    (folder / "corpus" / "made.txt").write_text("\n\n".join(t for t, _ in made_sentences(400)), encoding="utf-8")
    labelled = made_sentences(120, seed=1)
    rows = [
        {"text": text, "label": list(TOPICS).index(topic), "split": ["train", "test"][i % 2]}
        for i, (text, topic) in enumerate(labelled)
    ]
    polars.DataFrame(rows).write_parquet(folder / "topics.parquet")
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["sentence1", "sentence2", "score"])
        for (one, topic), (two, other) in zip(labelled[:60], labelled[60:], strict=True):
            writer.writerow([one, two, 5.0 if topic == other else 0.5])
    return {
        "run": RUN,
        "teacher": {"source": f"path:{teacher}", "max_length": 64},
        "corpus": {
            "source": f"path:{folder}/corpus",
            "documents": "all",
            "language": None,
            "min_words": 3,
            "spans": 0,
            "shard_size": 128,
        },
        "training": {"batch_size": 32, "epochs": 2},
        "models": {"small": {"dimensions": 16, "sentences": 256, "born_again": 1}},
        "build": ["small"],
        "baselines": {"teacher": f"path:{teacher}"},
        "evaluation": {
            "tasks": ["Topics", "Pairs"],
            "custom_tasks": {
                "Topics": {"type": "Classification", "source": f"path:{folder}/topics.parquet", "description": "made"},
                "Pairs": {"type": "STS", "source": f"path:{folder}/pairs.csv", "description": "made"},
            },
            "baselines": ["teacher"],
            "references": ["small", "absent"],
        },
        "release": {"most_lost": 10},  # on tasks this small int8 may lose as much by chance
        "reference": {"small": {"a card": {"Avg": 50.0}}, "absent": {"a card": {"STS": 60.0}}},
    }


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


def snakemake(
    checkout: Path, *arguments: str, config: dict | None = None, hub: dict[str, str] = NO_HUB
) -> subprocess.CompletedProcess:
    """Run Snakemake in a checkout, with an overlay where one is given; ``hub`` is the hub's environment."""
    return subprocess.run(**command(checkout, *arguments, config=config, hub=hub), capture_output=True, check=False)


def planned(done: subprocess.CompletedProcess) -> dict[str, int]:
    """The jobs of a dry run: how many of each rule; empty where there is nothing to be done."""
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    if "Nothing to be done" in output:
        return {}
    table = output.split("Job stats:")[1].split("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
