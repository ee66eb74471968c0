"""List what each part of a finished run took: time, processor time, memory and an estimate of energy."""

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

from lib.job.command import InputError, run
from lib.job.files import write_text
from lib.page import Section, markdown_page, render
from lib.summary_tables import cell

WATTS = 10  # assumed, of a busy core
ABOUT = (
    "Of the last run of each job, by Snakemake's benchmark files; jobs of a few seconds are left out. Times are sums "
    "over the jobs of a part, some of which ran at the same time. Energy is an estimate from the processor time: "
    f"{WATTS} W for each busy core; GPUs, memory and idle hardware are not counted."
)
HEADER = ["Part", "Longest job", "Jobs", "Time (min)", "Longest job (min)", "Processor time (min)", "Memory (GB)"]
HEADER += ["Energy, estimated (Wh)"]


class Job(NamedTuple):
    """A job's name, seconds, seconds of processor time, and MB of memory; None for what was not measured."""

    name: str
    seconds: float
    busy: float | None
    megabytes: float | None


def number(text: str) -> float | None:
    """A number of a benchmark file; None for a job that ended before it was measured."""
    return None if text in ("-", "NA") else float(text)


def read_jobs(folder: Path) -> dict[str, list[Job]]:
    """The jobs of each part; scores of baselines are a part of their own.

    Raises:
        InputError: a file is not one of Snakemake's benchmark files.
    """
    parts: dict[str, list[Job]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        name = path.relative_to(folder).with_suffix("")
        part = name.parts[0]
        if part == "evaluate":
            part += "_baseline" if name.name == "baseline" else "_model"
        try:
            with path.open(encoding="utf-8", newline="") as file:
                (row,) = csv.DictReader(file, delimiter="\t")
            job = Job(
                "/".join(name.parts[1:]) or part, float(row["s"]), number(row["cpu_time"]), number(row["max_rss"])
            )
        except (ValueError, KeyError) as error:
            raise InputError(f"{path}: expected a benchmark file of Snakemake, found another ({error!r})") from error
        parts.setdefault(part, []).append(job)
    return parts


def line(part: str, jobs: list[Job]) -> list[str]:
    """The cells of a part, in the order of ``HEADER``."""
    longest = max(jobs, key=lambda job: job.seconds)
    busy = sum(job.busy or 0.0 for job in jobs)
    memory = max((job.megabytes for job in jobs if job.megabytes is not None), default=None)
    times = [cell(seconds / 60) for seconds in (sum(job.seconds for job in jobs), longest.seconds, busy)]
    gigabytes = cell(None if memory is None else memory / 1000, 1)
    return [part, longest.name, str(len(jobs)), *times, gigabytes, cell(busy / 3600 * WATTS)]


def main(argv: list[str]) -> None:
    """Write the costs of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmarks", type=Path, required=True, help="the run's folder of benchmark files")
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--html", type=Path, required=True)
    args = parser.parse_args(argv)
    parts = read_jobs(args.benchmarks)
    everything = [job._replace(name=f"{part}, {job.name}") for part, jobs in parts.items() for job in jobs]
    lines = [
        line(part, jobs) for part, jobs in sorted(parts.items(), key=lambda item: -sum(j.seconds for j in item[1]))
    ]
    lines += [line("all", everything)] if everything else []
    sections = [Section("Time, memory and energy", [ABOUT], HEADER, lines)]
    write_text(args.markdown, markdown_page(sections))
    write_text(args.html, render("page.html.jinja", sections=sections, plots=[]))


if __name__ == "__main__":
    run(main)
