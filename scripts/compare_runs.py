"""Compare two finished runs: what changed in the config, on average and on each task, and is it significant?"""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import polars
import yaml

from lib.differences import difference
from lib.job.command import InputError, run
from lib.job.files import read_json, write_text
from lib.page import Section, markdown_page
from lib.summary_tables import (
    DIFFERENCES,
    DIFFERENCES_HEADER,
    cell,
    difference_lines,
    headings,
    interval_text,
    points,
)


def flat(value: Any, key: str = "") -> dict[str, Any]:
    """The leaves of nested mappings, by their keys joined with dots."""
    if not isinstance(value, dict) or not value:
        return {key: value}
    parts = [flat(inner, f"{key}.{name}" if key else name) for name, inner in value.items()]
    return {name: leaf for part in parts for name, leaf in part.items()}


def changed_settings(before: dict, after: dict) -> list[list[str]]:
    """The settings that differ: key, value before, value after; a dash for a missing one."""
    old, new = flat(before), flat(after)
    keys = [key for key in {**old, **new} if old.get(key, "–") != new.get(key, "–")]
    return [[key, str(old.get(key, "–")), str(new.get(key, "–"))] for key in keys]


def read_run(folder: Path) -> tuple[dict, dict, dict, dict]:
    """A finished run: its summary, the scores of each (model, stage), their bootstrap samples, and its config.

    Raises:
        InputError: a file of the run is missing.
    """
    summary = read_json(folder / "summary.json", ["rows", "settings"])
    scores: dict[tuple[str, str], dict[str, dict]] = {}
    for row in summary["rows"]:
        scores.setdefault((row["model"], row["stage"]), {})[row["task"]] = row
    try:
        resampled = {
            key: polars.read_parquet(folder / "mteb" / "resampled" / f"{'/'.join(key)}.parquet") for key in scores
        }
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{folder}: expected a finished run, found no {error.filename or error}") from error
    return summary, scores, resampled, config


def differing(before: Path, after: Path) -> list[Section]:
    """The sections of a comparison.

    Raises:
        InputError: a run is not finished, or the bootstraps sampled different items.
    """
    (old_summary, old, old_resampled, old_config), (summary, new, resampled, config) = map(read_run, [before, after])
    seeds = [each["settings"]["evaluation_seed"] for each in (old_summary, summary)]
    if seeds[0] != seeds[1]:
        raise InputError(f"evaluation.seed: {seeds[0]} in {before}, {seeds[1]} in {after}; expected the same seed")
    rows, tasks, other_data = [], [], set()
    compared: dict[str, str] = {}
    for key in [key for key in new if key in old]:
        alike = {t: row for t, row in new[key].items() if t in old[key]}
        other_data |= {t for t, row in alike.items() if row["dataset_revision"] != old[key][t]["dataset_revision"]}
        alike = {t: row for t, row in alike.items() if t not in other_data}
        if not alike:
            continue
        ours, theirs = [{task: each[key][task]["score"] for task in alike} for each in (new, old)]
        categories = {task: row["category"] for task, row in alike.items()}
        compared |= categories
        differences = difference(ours, theirs, resampled[key], old_resampled[key], categories, seeds[0])
        names = {
            "model": key[0],
            "stage": key[1],
            "against_model": key[0],
            "against_stage": f"{key[1]} of {before.name}",
        }
        rows += [names | row for row in differences]
        for row in [row for row in differences if row["of"] in alike]:
            star = "" if row["significant"] == "no" else "*"
            numbers = [cell(theirs[row["of"]]), cell(ours[row["of"]]), f"{points(row['difference'])}{star}"]
            tasks.append([", ".join(key), row["of"], *numbers, interval_text(row["low"], row["high"])])
    only = [
        f"Only in {folder.name}: {', '.join(' '.join(key) for key in mine if key not in others)}."
        for folder, mine, others in [(before, old, new), (after, new, old)]
        if set(mine) - set(others)
    ]
    if other_data:
        only.append(f"Not compared, because their data are of another revision: {', '.join(sorted(other_data))}.")
    return [
        Section(
            f"{after.name} compared with {before.name}",
            [DIFFERENCES, *only],
            [*DIFFERENCES_HEADER, *headings(Counter(compared.values()))],
            difference_lines(rows),
        ),
        Section(
            "Settings",
            ["" if old_config != config else "The two have the same config."],
            ["Key", before.name, after.name],
            changed_settings(old_config, config),
        ),
        Section("Each task", [], ["Model", "Task", before.name, after.name, "Difference", "95 % interval"], tasks),
    ]


def main(argv: list[str]) -> None:
    """Write the comparison of two runs as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="a finished run's folder")
    parser.add_argument("--after", type=Path, required=True, help="the other finished run's folder")
    parser.add_argument("--output", type=Path, required=True, help="the Markdown file to write")
    args = parser.parse_args(argv)
    write_text(args.output, markdown_page(differing(args.before, args.after)))


if __name__ == "__main__":
    run(main)
