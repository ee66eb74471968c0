"""Check that the files of a finished run are unchanged, by their sha256."""

import argparse
from pathlib import Path

from lib.crate import CRATE, described_files
from lib.job.command import InputError, run
from lib.job.files import read_json, sha256
from lib.job.progress import progress, say


def changes(folder: Path) -> list[str]:
    """A line for each file of a run that differs from its crate.

    Raises:
        InputError: the run has no crate.
    """
    if not (folder / CRATE).is_file():
        raise InputError(f"{folder}: expected {CRATE}, which a finished run has, found none")
    entities = read_json(folder / CRATE, ["@graph"])["@graph"]
    expected = {Path(entity["@id"]): entity["sha256"] for entity in entities if "sha256" in entity}
    lines = []
    for path, digest in progress(expected.items(), len(expected), "verify", "files"):
        if not (folder / path).is_file():
            lines.append(f"{folder / path}: missing")
        elif sha256(folder / path) != digest:
            lines.append(f"{folder / path}: changed")
    lines += [f"{folder / path}: added after the run" for path in set(described_files(folder)) - set(expected)]
    if not lines:
        say(f"{folder}: {len(expected)} files are as the run made them")
    return sorted(lines)


def main(argv: list[str]) -> None:
    """Verify one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="the run's folder")
    args = parser.parse_args(argv)
    lines = changes(args.run)
    for line in lines:
        say(line)
    if lines:
        raise InputError(f"{args.run}: {len(lines)} file(s) have changed since the run")


if __name__ == "__main__":
    run(main)
