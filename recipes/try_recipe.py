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
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars
from model2vec import StaticModel
from snakemake.utils import update_config

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from lib.context import read_context
from lib.job.command import InputError
from lib.job.command import run as run_script
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
from lib.targets import targets_of_all
from lib.tasks import load_task
from lib.training import TrainingSettings, be_deterministic, train

SOURCES = Path("results/sources")


class Prepared(NamedTuple):
    """What trials begin with: the run's models and folder, the data of each task, and each model's initial folder."""

    family: Family
    results: Path
    tasks: dict[str, Path]
    students: dict[str, Path]


def prepare(overlays: list[Path]) -> Prepared:
    """Read the config, and let Snakemake make embeddings, distilled models and the tasks' data if they are missing.

    Raises:
        InputError: there is a mistake in the config, or Snakemake fails.
    """
    config: dict = {}
    layers = [read_config(path) for path in [Path("config.yaml"), *overlays]]
    for layer in layers:
        update_config(config, layer)
    check_config(config, layers, str(SOURCES))
    family, results = Family(config), Path("results", config["run"])
    folders = {task: results if task in family.custom_tasks else SOURCES for task in family.tasks}
    tasks = {task: folder / "tasks" / f"{task}.arrow" for task, folder in folders.items()}
    numbers = family.shards(family.sentences)
    endings = ["npy", "json", "tokens.parquet"]
    shards = [results / folder / f"{n}.{ending}" for folder in family.teachers for n in numbers for ending in endings]
    students = {name: results / "models" / family.owner(name, "distilled") / "distilled" for name in family.trained}
    files = [*shards, *(student / "config.json" for student in students.values()), *tasks.values()]
    # not "all", with which Snakemake would not say either why it fails, such as a lock
    quiet = ["--quiet", "host", "progress", "reason", "rules"]
    command = [sys.executable, "-m", "snakemake", "--cores", "all", *quiet]
    done = subprocess.run([*command, "--configfile", *overlays, "--", *files], check=False)
    if done.returncode:
        raise InputError(f"snakemake: failed; its messages are above, those of its jobs in {results / 'logs'}")
    return Prepared(family, results, tasks, students)


def train_student(name: str, run: Prepared, settings: TrainingSettings, device: str) -> tuple[StaticModel, dict]:
    """Train a model from its sentences and embeddings on disk, as the rule pretrain does; also its report."""
    initial = load_stage(run.students[name])
    sentences, shards = read_sample(run.results / "corpus/sentences", run.family.sentences_of(name))
    tokens, offsets = tokenize(initial, sentences)
    embeddings = [run.results / folder for folder in run.family.teachers]
    reduced = settings.target_dimensions(initial.dim)
    targets = targets_of_all(embeddings, run.results / "corpus/sentences", shards, len(sentences), reduced)
    context = None
    if settings.initial == "contextual":
        context = read_context(embeddings[0], run.results / "corpus/sentences", shards, initial)
    return train(initial, tokens, offsets, targets, settings, device, context=context)


def score_all(model: StaticModel, name: str, run: Prepared) -> dict[str, float]:
    """A model's scores: the mean of each category of tasks, their mean, and each task; score × 100."""
    encoder = Encoder(partial(model.encode, use_multiprocessing=False), name, "tried")
    scores, types = {}, {}
    for task, path in run.tasks.items():
        loaded = load_task(task, path, run.family.custom_types().get(task))
        scores[task] = round(100 * score(loaded, encoder).get_score(), 3)
        types[task] = loaded.metadata.type
    means = {
        category: round(float(np.mean([scores[task] for task in scores if types[task] == category])), 3)
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


def try_model(name: str, run: Prepared, device: str) -> dict:
    """Train and score a model: its row of the table."""
    settings = TrainingSettings(**run.family.training(name))
    started = time.monotonic()
    model, report = train_student(name, run, settings, device)
    trained = time.monotonic()
    scores = score_all(model, name, run)
    best = min(report["curve"], key=lambda point: point["validation_loss"])
    row = {"model": name, "commit": commit(), "sentences": run.family.sentences_of(name), **asdict(settings)}
    row |= {"best_epoch": best["epoch"], "held_out_loss": round(best["validation_loss"], 5)}
    row |= {"train_seconds": round(trained - started, 1), "score_seconds": round(time.monotonic() - trained, 1)}
    return row | scores


def main(argv: list[str]) -> None:
    """Try the settings of each trained model of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, nargs="+", required=True, help="overlays of config.yaml, in order")
    add_device_arguments(parser)
    args = parser.parse_args(argv)
    device = job_device(args)
    be_deterministic()
    run = prepare(args.configfile)
    table = run.results / "trials.csv"
    for name in run.students:
        row = try_model(name, run, device)
        append(row, table)
        say(f"{name}: {json.dumps(row)}")
    rows = polars.read_csv(table, infer_schema_length=None)
    varied = [field.name for field in fields(TrainingSettings) if rows[field.name].n_unique() > 1]
    categories = [category for category in [*CATEGORIES, "Avg"] if category in row]
    columns = dict.fromkeys(["model", *varied, "seed", "held_out_loss", "train_seconds", "score_seconds", *categories])
    with polars.Config(
        tbl_cols=-1, tbl_rows=-1, tbl_width_chars=200, tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True
    ):
        print(rows.select(list(columns)))
    say(f"all settings and the scores of each task are in {table}")


if __name__ == "__main__":
    run_script(main)
