"""Write the merged config of a run, with its commit, command, devices and versions."""

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
    """The devices in JSON reports, each with the number of its reports."""
    counts = Counter(read_json(path, ["device"])["device"] for path in reports)
    return ", ".join(f"{name} ({what}: {count})" for name, count in counts.items())


def main(argv: list[str]) -> None:
    """Write a run's config as YAML for Snakemake's --configfile, with its provenance in comments.

    The command comes from the environment variable ``RUN_COMMAND``, so that another command does not rerun the rule.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=json.loads, required=True, help="the merged config as JSON")
    parser.add_argument("--summary", type=Path, required=True, help="summary.json, for the versions")
    parser.add_argument(
        "--embeddings",
        type=Path,
        nargs="+",
        required=True,
        help="each teacher's folder of embedding shards, for the devices",
    )
    parser.add_argument("--trainings", type=Path, nargs="*", default=[], help="training.json files, for the devices")
    parser.add_argument("--output", type=Path, required=True, help="the YAML file to write")
    args = parser.parse_args(argv)
    versions = read_json(args.summary)["versions"]
    shards = [about for folder in args.embeddings for about in sorted(folder.glob("[0-9]*.json"))]
    lines = [
        f"commit: {commit()}",
        f"command: {os.environ.get('RUN_COMMAND', 'unknown')}",
        f"embedded on: {devices(shards, 'shards')}",
        f"trained on: {devices(args.trainings, 'stages')}",
        f"versions: {', '.join(f'{name} {version}' for name, version in versions.items())}",
    ]
    if os.environ.get(UNCHECKED):
        lines.append("commits of the hub: not checked")
    header = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    write_text(args.output, header + yaml.safe_dump(args.config, sort_keys=False, allow_unicode=True, width=120))


if __name__ == "__main__":
    run(main)
