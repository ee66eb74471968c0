"""Check that mteb knows tasks by their names, and that the pipeline supports their types."""

import argparse

from lib.job.command import run
from lib.tasks import mteb_task


def main(argv: list[str]) -> None:
    """Check each name; an error names the first one that mteb does not know."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", help="mteb's names of the tasks")
    for name in parser.parse_args(argv).tasks:
        mteb_task(name)


if __name__ == "__main__":
    run(main)
