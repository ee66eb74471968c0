"""Write down what a run was: its merged config, and the commit, command, devices and versions that made it."""

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import yaml

from lib.hub import UNCHECKED
from lib.job.command import run
from lib.job.files import read_json, write_text
from lib.job.provenance import commit


def devices(reports: Iterable[Path], what: str) -> str:
    """The devices that JSON reports name, each with how many do."""
    counts = Counter(read_json(path, ["device"])["device"] for path in reports)
    return ", ".join(f"{name} ({what}: {count})" for name, count in counts.items())


def main(argv: list[str]) -> None:
    """Write one run's config as YAML that Snakemake's --configfile reads; where it comes from stands in comments.

    The command is taken from the environment, ``RUN_COMMAND``: another command makes nothing out of date.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=json.loads, required=True, help="the merged config as JSON")
    parser.add_argument("--summary", type=Path, required=True, help="summary.json, for the versions")
    parser.add_argument(
        "--embeddings", type=Path, required=True, help="the folder of the teacher's embedding shards, for the devices"
    )
    parser.add_argument("--trainings", type=Path, nargs="*", default=[], help="training.json files, for the devices")
    parser.add_argument("--output", type=Path, required=True, help="the YAML file to write")
    args = parser.parse_args(argv)
    versions = read_json(args.summary)["versions"]
    lines = [
        f"commit: {commit()}",
        f"command: {os.environ.get('RUN_COMMAND', 'not known')}",
        f"embedded on: {devices(sorted(args.embeddings.glob('[0-9]*.json')), 'shards')}",
        f"trained on: {devices(args.trainings, 'stages')}",
        f"versions: {', '.join(f'{name} {version}' for name, version in versions.items())}",
    ]
    if os.environ.get(UNCHECKED):
        lines.append("commits of the hub: not checked")
    header = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    write_text(args.output, header + yaml.safe_dump(args.config, sort_keys=False, allow_unicode=True, width=120))


if __name__ == "__main__":
    run(main)
