"""Compare a finished run with what was written down when it was made: each file's sha256."""

import argparse
from pathlib import Path

from lib.crate import CRATE, described_files
from lib.job.command import InputError, run
from lib.job.files import read_json, sha256
from lib.job.progress import progress, say


def changes(folder: Path) -> list[str]:
    """What a run's files are now, where that is not what its crate says: a line each.

    Raises:
        InputError: the run has no crate.
    """
    if not (folder / CRATE).is_file():
        raise InputError(f"{folder}: expected {CRATE}, which a finished run has, found none")
    entities = read_json(folder / CRATE, ["@graph"])["@graph"]
    expected = {Path(entity["@id"]): entity["sha256"] for entity in entities if "sha256" in entity}
    found = []
    for path, promised in progress(expected.items(), len(expected), "verify", "files"):
        if not (folder / path).is_file():
            found.append(f"{folder / path}: missing")
        elif sha256(folder / path) != promised:
            found.append(f"{folder / path}: changed")
    found += [
        f"{folder / path}: not there when the run was finished" for path in set(described_files(folder)) - set(expected)
    ]
    if not found:
        say(f"{folder}: {len(expected)} files are as the run made them")
    return sorted(found)


def main(argv: list[str]) -> None:
    """Verify one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="the run's folder")
    args = parser.parse_args(argv)
    found = changes(args.run)
    for line in found:
        say(line)
    if found:
        raise InputError(f"{args.run}: {len(found)} file(s) are not as the run made them")


if __name__ == "__main__":
    run(main)
