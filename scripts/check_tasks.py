"""Check that mteb knows tasks by their names, and that they are of the types that the pipeline averages."""

import argparse

from lib.job.command import run
from lib.tasks import mteb_task


def main(argv: list[str]) -> None:
    """Check each name; the first that mteb does not know ends the process with a line that says so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="+", help="mteb's names")
    for name in parser.parse_args(argv).tasks:
        mteb_task(name)


if __name__ == "__main__":
    run(main)
