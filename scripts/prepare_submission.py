"""Gather the scores of published models in a folder that mteb's ResultCache.submit_results takes.

mteb names a model by its repository on the hub and its commit there. Only scores of mteb's own tasks are taken.
"""

import argparse
import shutil
from pathlib import Path

from lib.job.command import InputError, run
from lib.job.files import read_json, replacing, write_json
from lib.job.progress import say


def gather(results: Path, repository: str, commit: str, tasks: list[str], target: Path) -> None:
    """Copy a model's results, renamed to its repository and commit, into the folder of an ``mteb.ResultCache``.

    Args:
        results: mteb's results of the model, ``<task>.json`` and ``model_meta.json``.
        repository: ``owner/model``.
        commit: of the repository.
        tasks: those to take.
        target: the folder that the cache is opened with.
    """
    folder = target / "results" / repository.replace("/", "__") / commit
    folder.mkdir(parents=True)
    meta = read_json(results / "model_meta.json") | {"name": repository, "revision": commit}
    write_json(folder / "model_meta.json", meta)
    for task in tasks:
        shutil.copyfile(results / f"{task}.json", folder / f"{task}.json")


def main(argv: list[str]) -> None:
    """Write the submission of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--published", type=Path, required=True, help="published.json")
    parser.add_argument("--results", type=Path, required=True, help="the run's folder mteb/results")
    parser.add_argument("--tasks", nargs="*", default=[], help="the run's tasks that are mteb's own")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    args = parser.parse_args(argv)
    if not args.tasks:
        raise InputError("evaluation.tasks: expected a task of mteb's, found none: there is nothing to submit")
    models = read_json(args.published, ["models"])["models"]
    with replacing(args.output) as target:
        for model, about in models.items():
            gather(args.results / model / "int8", about["repository"], about["commit"], args.tasks, target)
            say(f"{about['repository']}: {len(args.tasks)} scores")


if __name__ == "__main__":
    run(main)
