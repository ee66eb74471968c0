"""Download what one of mteb's tasks scores, at the commit that mteb pins, once for all models."""

import argparse
from pathlib import Path

from lib.command import InputError, first_line, run
from lib.progress import say
from lib.tasks import mteb_task, write_data


def main(argv: list[str]) -> None:
    """Write one task's data.

    Endpoint, cache and token come from the environment (``HF_ENDPOINT``, ``HF_HOME``, ``HF_TOKEN``).
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", required=True, help="mteb's name of the task")
    parser.add_argument("--output", type=Path, required=True, help="the Arrow file to write")
    args = parser.parse_args(argv)
    task = mteb_task(args.task)
    where = "{path}@{revision}".format(**task.metadata.dataset)
    try:
        task.load_data()
    except Exception as error:  # the clients raise their own kinds for every network fault
        raise InputError(f"task {args.task}: hub data set {where}: download failed: {first_line(error)}") from error
    write_data(task, args.output)
    say(f"{args.task}: {where}")


if __name__ == "__main__":
    run(main)
