"""What jobs took, by Snakemake's benchmark files, and estimates of energy and emissions from it."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from lib.job.command import InputError
from lib.job.files import read_json

WATTS = 10  # assumed, of a busy core


class JobCost(NamedTuple):
    """A job's name, seconds, seconds of processor time, and MB of memory; None for what was not measured."""

    name: str
    seconds: float
    busy: float | None
    megabytes: float | None


def number(text: str) -> float | None:
    """A number of a benchmark file; None for a job that ended before it was measured."""
    return None if text in ("-", "NA") else float(text)


def read_cost(path: Path, name: str) -> JobCost:
    """What a job took.

    Raises:
        InputError: the file is not one of Snakemake's benchmark files.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file, delimiter="\t")
        return JobCost(name, float(row["s"]), number(row["cpu_time"]), number(row["max_rss"]))
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: expected a benchmark file of Snakemake, found another ({error!r})") from error


def watt_hours(jobs: Iterable[JobCost]) -> float:
    """The estimated energy of jobs on CPUs: ``WATTS`` for each busy core."""
    return sum(job.busy or 0.0 for job in jobs) / 3600 * WATTS


def grams(jobs: Iterable[JobCost], carbon_intensity: float) -> float:
    """The estimated emissions of jobs on CPUs, in grams of CO2 equivalent.

    Args:
        jobs: the jobs.
        carbon_intensity: of the electricity, grams for each kWh.
    """
    return watt_hours(jobs) / 1000 * carbon_intensity


def gpus_in(embeddings: Iterable[Path], trainings: Iterable[Path]) -> list[str]:
    """The GPUs that embeddings and trainings were made on, each once.

    Args:
        embeddings: folders of shards with their reports.
        trainings: reports of trainings.
    """
    shards = [report for folder in embeddings for report in folder.glob("[0-9]*.json")]
    devices = {read_json(path, ["device"])["device"] for path in [*shards, *trainings]}
    return sorted(device for device in devices if device != "cpu")
