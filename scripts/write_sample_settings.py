"""Write all settings that decide the sample except its size: embeddings depend on these, not on the sample."""

import argparse
import json
from pathlib import Path

from lib.job.command import run
from lib.job.files import sha256, write_json


def main(argv: list[str]) -> None:
    """Write the settings, the names and sizes of the local texts and the hashes of the tasks' data as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON: sources, language, seed…")
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="local text files")
    parser.add_argument("--tasks", type=Path, nargs="*", default=[], help="data of tasks whose test texts are kept out")
    parser.add_argument("--output", type=Path, required=True, help="the JSON file to write")
    args = parser.parse_args(argv)
    files = {path.as_posix(): path.stat().st_size for path in args.files}
    tasks = {path.name: sha256(path) for path in args.tasks}
    write_json(args.output, args.settings | {"files": files, "tasks": tasks})


if __name__ == "__main__":
    run(main)
