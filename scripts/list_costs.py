"""List what each part of a finished run took: time, processor time, memory and an estimate of energy."""

import argparse
from pathlib import Path

from lib.costs import WATTS, JobCost, gpus_in, grams, read_cost, watt_hours
from lib.job.command import run
from lib.job.files import write_text
from lib.page import Section, markdown_page, render
from lib.summary_tables import cell

ABOUT = (
    "Of the last run of each job, by Snakemake's benchmark files, without what it found done before; jobs "
    "of a few seconds are left out. Times are sums over the jobs of a part, some of which ran at the same time. Energy "
    f"is an estimate from the processor time: {WATTS} W for each busy core; GPUs, memory and idle hardware are not "
    "counted."
)
HEADER = ["Part", "Longest job", "Jobs", "Time (min)", "Longest job (min)", "Processor time (min)", "Memory (GB)"]
HEADER += ["Energy, estimated (Wh)"]


def read_jobs(folder: Path) -> dict[str, list[JobCost]]:
    """The jobs of each part; scores of baselines are a part of their own.

    Raises:
        InputError: a file is not one of Snakemake's benchmark files.
    """
    parts: dict[str, list[JobCost]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        name = path.relative_to(folder).with_suffix("")
        part = name.parts[0]
        if part == "evaluate":
            part += "_baseline" if name.name == "baseline" else "_model"
        parts.setdefault(part, []).append(read_cost(path, "/".join(name.parts[1:]) or part))
    return parts


def line(part: str, jobs: list[JobCost]) -> list[str]:
    """The cells of a part, in the order of ``HEADER``."""
    longest = max(jobs, key=lambda job: job.seconds)
    busy = sum(job.busy or 0.0 for job in jobs)
    memory = max((job.megabytes for job in jobs if job.megabytes is not None), default=None)
    times = [cell(seconds / 60) for seconds in (sum(job.seconds for job in jobs), longest.seconds, busy)]
    gigabytes = cell(None if memory is None else memory / 1000, 1)
    return [part, longest.name, str(len(jobs)), *times, gigabytes, cell(watt_hours(jobs))]


def main(argv: list[str]) -> None:
    """Write the costs of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmarks", type=Path, required=True, help="the run's folder of benchmark files")
    parser.add_argument("--embeddings", type=Path, nargs="*", default=[], help="the teachers' folders, for the devices")
    parser.add_argument("--trainings", type=Path, nargs="*", default=[], help="training.json files, for the devices")
    parser.add_argument("--carbon-intensity", type=float, help="grams of CO2 equivalent for each kWh of electricity")
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--html", type=Path, required=True)
    args = parser.parse_args(argv)
    parts = read_jobs(args.benchmarks)
    everything = [job._replace(name=f"{part}, {job.name}") for part, jobs in parts.items() for job in jobs]
    listed = sorted(parts.items(), key=lambda item: -sum(j.seconds for j in item[1]))
    listed += [("all", everything)] if everything else []
    about, header, lines = [ABOUT], HEADER, [line(part, jobs) for part, jobs in listed]
    if args.carbon_intensity is not None:
        about.append(f"Emissions are this energy at {args.carbon_intensity:g} g CO2eq for each kWh, by the config.")
        header = [*header, "Emissions, estimated (g CO2eq)"]
        emitted = [cell(grams(jobs, args.carbon_intensity)) for _, jobs in listed]
        lines = [[*cells, last] for cells, last in zip(lines, emitted, strict=True)]
    if gpus := gpus_in(args.embeddings, args.trainings):
        about.append(f"Jobs ran on {', '.join(gpus)}: they took far more energy than is shown.")
    sections = [Section("Time, memory and energy", about, header, lines)]
    write_text(args.markdown, markdown_page(sections))
    write_text(args.html, render("page.html.jinja", sections=sections, plots=[]))


if __name__ == "__main__":
    run(main)
