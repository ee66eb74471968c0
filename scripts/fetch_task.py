"""Download the data that scoring one of mteb's tasks needs, at the commit that mteb pins, once for all models."""

import argparse
from pathlib import Path

import datasets
from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from lib.hub import check_commit
from lib.job.command import InputError, first_line, run
from lib.job.progress import say
from lib.tasks import mteb_task, write_data


def use_cache_of(pin: str) -> Path:
    """Give each commit its own cache of the library datasets, which offline would take any commit that it has."""
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "commits" / pin
    datasets.config.HF_DATASETS_CACHE = str(folder)
    return folder


def check_commits(repository: str, pin: str, cache: Path) -> None:
    """Compare the commit that the data came from with the pinned one.

    Args:
        repository: repository on the hub.
        pin: the pinned commit.
        cache: the folder where datasets keeps ``<repository>/<configuration>/<version>/<commit>``.

    Raises:
        InputError: the commits differ.
    """
    for info in cache.glob("*/*/*/*/dataset_info.json"):
        check_commit(repository, pin, info.parent.name)
    folder = repo_folder_name(repo_id=repository, repo_type="dataset")
    answered = Path(constants.HF_HUB_CACHE) / folder / "refs" / pin  # exists if a file's commit was another
    if answered.exists():
        check_commit(repository, pin, answered.read_text())


def main(argv: list[str]) -> None:
    """Write one task's data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="mteb's name of the task")
    parser.add_argument("--output", type=Path, required=True, help="the Arrow file to write")
    args = parser.parse_args(argv)
    task = mteb_task(args.task)
    where = "{path}@{revision}".format(**task.metadata.dataset)
    repository, pin = task.metadata.dataset["path"], task.metadata.dataset["revision"]
    cache = use_cache_of(pin)
    try:
        task.load_data()
    except Exception as error:  # the clients raise exceptions of their own for network faults
        raise InputError(f"task {args.task}: hub data set {where}: download failed: {first_line(error)}") from error
    check_commits(repository, pin, cache)
    write_data(task, args.output)
    say(f"{args.task}: {where}")


if __name__ == "__main__":
    run(main)
