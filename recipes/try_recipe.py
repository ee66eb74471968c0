"""Train the models of a run and score them on the run's tasks, from finished embeddings: a row in a table for each.

This is for the choice of training settings on development tasks, in minutes. In the checkout:

    python recipes/try_recipe.py --configfile recipes/minilm.yaml recipes/development.yaml mine.yaml

Snakemake first makes what is missing: embeddings, distilled models, the tasks' data. The trained models are not kept.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import polars
from model2vec import StaticModel
from snakemake.utils import update_config

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from lib.job.command import InputError, run
from lib.job.device import add_device_arguments, job_device
from lib.job.files import replacing
from lib.job.progress import say
from lib.job.provenance import commit
from lib.plan.config import check_config, read_config
from lib.plan.family import Family
from lib.plan.tasks import CATEGORIES
from lib.scoring import Encoder, score
from lib.shards import read_sample
from lib.static_model import load_stage, tokenize
from lib.targets import teacher_targets
from lib.tasks import load_task
from lib.training import TrainingSettings, be_deterministic, train

SOURCES = Path("results/sources")


def make(files: list[Path], overlays: list[Path]) -> None:
    """Let Snakemake make the files that are missing or out of date.

    Raises:
        InputError: it fails.
    """
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--quiet", "all"]
    done = subprocess.run([*command, "--configfile", *overlays, "--", *files], check=False)
    if done.returncode:
        raise InputError(f"snakemake: failed; its messages are above, the jobs' are in {files[0].parents[1] / 'logs'}")


def score_all(model: StaticModel, name: str, tasks: dict[str, Path], custom: dict[str, str]) -> dict[str, float]:
    """A model's scores: the mean of each category of tasks, their mean, and each task; score × 100.

    Args:
        model: the model.
        name: its name in messages.
        tasks: the data of each task.
        custom: the types of the custom tasks.
    """
    encoder = Encoder(partial(model.encode, use_multiprocessing=False), name, "tried")
    scores, types = {}, {}
    for task, path in tasks.items():
        loaded = load_task(task, path, custom.get(task))
        scores[task] = round(100 * score(loaded, encoder).get_score(), 3)
        types[task] = loaded.metadata.type
    means = {
        category: round(float(np.mean([scores[task] for task in tasks if types[task] == category])), 3)
        for category in CATEGORIES
        if category in types.values()
    }
    return means | {"Avg": round(float(np.mean(list(means.values()))), 3)} | scores


def append(row: dict, table: Path) -> None:
    """Append a row to a table; columns that it does not have yet are empty in the rows before."""
    rows = polars.DataFrame([row])
    if table.exists():
        rows = polars.concat([polars.read_csv(table, infer_schema_length=None), rows], how="diagonal_relaxed")
    with replacing(table) as temporary:
        rows.write_csv(temporary)


def try_model(name: str, family: Family, student: Path, results: Path, tasks: dict[str, Path], device: str) -> dict:
    """Train and score a model: its row of the table.

    Args:
        name: the model.
        family: the models of the run.
        student: the folder of the distilled model.
        results: the folder of the run.
        tasks: the data of each task.
        device: ``cpu`` or ``cuda``.
    """
    settings = TrainingSettings(**family.training(name))
    initial = load_stage(student)
    sentences, shards = read_sample(results / "corpus/sentences", family.sentences_of(name))
    tokens, offsets = tokenize(initial, sentences)
    reduced = initial.dim if settings.loss == "contrastive" else None
    targets = teacher_targets(results / "teacher", results / "corpus/sentences", shards, len(sentences), reduced)
    started = time.monotonic()
    model, report = train(initial, tokens, offsets, targets, settings, device)
    trained = time.monotonic()
    scores = score_all(model, name, tasks, family.custom_types())
    best = min(report["curve"], key=lambda point: point["validation_loss"])
    row = {"model": name, "commit": commit(), "sentences": len(sentences), **asdict(settings)}
    row |= {"best_epoch": best["epoch"], "held_out_loss": round(best["validation_loss"], 5)}
    row |= {"train_seconds": round(trained - started, 1), "score_seconds": round(time.monotonic() - trained, 1)}
    return row | scores


def main(argv: list[str]) -> None:
    """Try the settings of each trained model of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, nargs="+", required=True, help="overlays of config.yaml, in order")
    add_device_arguments(parser)
    args = parser.parse_args(argv)
    config: dict = {}
    layers = [read_config(path) for path in [Path("config.yaml"), *args.configfile]]
    for layer in layers:
        update_config(config, layer)
    check_config(config, layers, str(SOURCES))
    family, results = Family(config), Path("results", config["run"])
    device = job_device(args)
    be_deterministic()

    folders = {task: results if task in family.custom_tasks else SOURCES for task in family.tasks}
    tasks = {task: folder / "tasks" / f"{task}.arrow" for task, folder in folders.items()}
    shards = [results / "teacher" / f"{shard}.npy" for shard in family.shards(family.sentences)]
    students = {name: results / "models" / family.owner(name, "distilled") / "distilled" for name in family.trained}
    make([*shards, *(student / "config.json" for student in students.values()), *tasks.values()], args.configfile)
    table = results / "trials.csv"
    for name, student in students.items():
        row = try_model(name, family, student, results, tasks, device)
        append(row, table)
        say(f"{name}: {json.dumps(row)}")
    categories = [category for category in [*CATEGORIES, "Avg"] if category in row]
    with polars.Config(tbl_cols=-1, tbl_rows=-1, tbl_width_chars=200, tbl_hide_column_data_types=True):
        print(polars.read_csv(table)["model", "seed", "held_out_loss", "train_seconds", "score_seconds", *categories])


if __name__ == "__main__":
    run(main)
