"""Write mteb's ``model_meta.json`` beside the results of each model and stage: mteb reads no results without it."""

import argparse
from pathlib import Path

from mteb.models import ModelMeta

from lib.job.command import run
from lib.job.files import write_json


def main(argv: list[str]) -> None:
    """Write a file for each ``.../<model>/<stage>/model_meta.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=Path, nargs="+", required=True, help="the files to write")
    args = parser.parse_args(argv)
    for path in args.outputs:
        model, stage = path.parts[-3:-1]
        write_json(path, ModelMeta.create_empty({"name": model, "revision": stage}).model_dump(mode="json"))


if __name__ == "__main__":
    run(main)
