"""Show what a run would take: time, memory and disk of each part, and the downloads."""

import argparse
import json
from collections.abc import Callable, Iterable

from lib.job.command import run
from lib.page import Section, markdown_page
from lib.summary_tables import cell

ABOUT = (
    "Estimates for two cores, one job after another, of all of the run, also of what is there already. A GPU is many "
    "times faster for the teacher and for transformers among the baselines. A baseline that is not downloaded yet "
    "counts as one. Texts that are streamed from a hub are not counted."
)


def at_least(amount: Callable[[list[float]], float], values: Iterable[float | None], divisor: float = 1.0) -> str:
    """The sum or the largest of values, divided; «at least» or «unknown» says if some or all of them are not known."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    if listed and not known:
        return "unknown"
    return ("at least " if len(known) < len(listed) else "") + cell(amount([*known, 0.0]) / divisor, 1)


def parts(jobs: list[tuple]) -> list[list[str]]:
    """A line for each part of the run, and one for all.

    Args:
        jobs: part, minutes, MB of memory and MB of disk of each; None where unknown.
    """
    grouped: dict[str, list[tuple]] = {}
    for part, *amounts in jobs:
        grouped.setdefault(part, []).append(tuple(amounts))
    lines = []
    for part, own in [*grouped.items(), ("all", [tuple(amounts) for _, *amounts in jobs])]:
        minutes, memory, disk = zip(*own, strict=True)
        lines.append([part, str(len(own)), at_least(sum, minutes), at_least(max, memory, 1000), at_least(sum, disk)])
    return lines


def main(argv: list[str]) -> None:
    """Show the plan of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--plan", type=json.loads, required=True, help="JSON: downloads by name in MB, jobs [part, minutes, MB, MB]"
    )
    args = parser.parse_args(argv)
    downloads = args.plan["downloads"]
    sizes = [[name, at_least(sum, [size])] for name, size in downloads.items()]
    header = ["Part", "Jobs", "Minutes", "Memory asked for (GB)", "Disk (MB)"]
    sections = [Section("Plan of the run", [ABOUT], header, parts(args.plan["jobs"]))]
    if downloads:
        sizes.append(["all", at_least(sum, downloads.values())])
        sections.append(Section("Downloads that are not there yet", [], ["Source", "MB"], sizes))
    print(markdown_page(sections))


if __name__ == "__main__":
    run(main)
