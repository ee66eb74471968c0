"""Time to quality: from finished embeddings to the score of tokenlearn's released trainer, by ours and by theirs.

In the checkout, for the first trained model of a run, on the tasks of the run:

    python benchmarks/training.py --configfile recipes/quickstart.yaml recipes/development.yaml \
        recipes/development-packages.yaml

Both begin with the same distilled model, sentences and embeddings, and run to their own end. Ours does so several
times, with other numbers of epochs: the points of a curve. Reading, tokenizing and training count; imports and scoring
do not. The last line is the ratio of tokenlearn's time to the time of our shortest training with at least its score.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recipes"))

from lib.job.command import InputError
from lib.job.command import run as run_script
from lib.job.device import add_device_arguments, job_device
from lib.shards import each_shard, read_sample
from lib.static_model import load_stage
from lib.training import TrainingSettings, be_deterministic
from train_tokenlearn import train_tokenlearn
from try_recipe import prepare, score_all, train_student


def main(argv: list[str]) -> None:
    """Train by both, score, and print the curve and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, nargs="+", required=True, help="overlays of config.yaml, in order")
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 2, 3, 4, 6], help="of our trainings")
    add_device_arguments(parser)
    args = parser.parse_args(argv)
    device = job_device(args)
    run = prepare(args.configfile)
    name, student = next(iter(run.students.items()))
    settings = TrainingSettings(**run.family.training(name))

    def scored(label: str, model, seconds: float) -> float:
        scores = score_all(model, name, run)
        shown = ", ".join(f"{key} {value:.2f}" for key, value in scores.items() if key not in run.tasks)
        print(f"{label}: {seconds:.1f} s, {shown}", flush=True)
        return scores["Avg"]

    start = time.perf_counter()
    sentences, shards = read_sample(run.results / "corpus/sentences", run.family.sentences_of(name))
    parts = list(each_shard(run.results / "teacher", run.results / "corpus/sentences", shards))
    embeddings = np.concatenate(parts)[: len(sentences)].astype(np.float32)
    theirs = train_tokenlearn(load_stage(student), sentences, embeddings, settings.seed, device)
    their_seconds = time.perf_counter() - start
    wanted = scored("tokenlearn", theirs, their_seconds)
    be_deterministic()
    enough = []
    for epochs in sorted(args.epochs):
        start = time.perf_counter()
        model, _ = train_student(name, run, replace(settings, epochs=epochs), device)
        seconds = time.perf_counter() - start
        if scored(f"ours, {epochs} epochs", model, seconds) >= wanted:
            enough.append(seconds)
    if not enough:
        raise InputError(f"expected an Avg of at least {wanted:.2f}, found less after each training of ours")
    print(f"ratio: {their_seconds / min(enough):.1f}")


if __name__ == "__main__":
    run_script(main)
