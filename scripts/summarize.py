"""Gather every result of a run into one table, as CSV, JSON, Markdown and HTML."""

import argparse
import json
import platform
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev

import polars

from lib.differences import read_differences, score_intervals
from lib.job.command import run
from lib.job.files import read_json, replacing, write_json, write_text
from lib.job.provenance import versions
from lib.model_folder import weights_size
from lib.page import Noted, Section, markdown_page, render
from lib.plan.tasks import CATEGORIES
from lib.results import averages, categories_of, fastest, read_results
from lib.summary_tables import (
    DIFFERENCES,
    DIFFERENCES_HEADER,
    SPEED_HEADER,
    cell,
    difference_lines,
    headings,
    points,
    rate_text,
    speed_lines,
    speed_text,
)
from lib.task_data import read_splits

EXPLANATION = (
    "Avg is the macro average: the mean of the category means. Scores are mteb's main scores × 100: Spearman "
    "correlation of cosines (STS), accuracy (classification), average precision (pair classification). Size is that of "
    "the weights' files. Sentences/s is how many sentences a CPU embeds per second at the model's fastest number of "
    "threads; speed.json has the details."
)
MEANS = [*CATEGORIES, "Avg"]
COLUMNS = ["model", "stage", "task", "category", "score", "test_items", "seconds", "seed", "mteb_version"]
COLUMNS += ["dataset_revision", "result"]
VERSIONED = ["model2vec", "mteb", "numpy", "scikit-learn", "snakemake", "tokenizers", "torch", "transformers"]


Intervals = dict[tuple[str, str], dict[str, tuple[float, float]]]  # of (model, stage): of a task, category or Avg


def test_items(path: Path) -> int:
    """The number of test items in a task's data: pairs or texts, of all subsets."""
    return sum(table.num_rows for (_, split), table in read_splits(path).items() if split == "test")


def reference_lines(reference: dict, means: list[dict], megabytes: dict) -> list[list[str]]:
    """For each number of the reference: model, metric, source, reference, this run's number, difference, or «not run».

    This run's number is that of the int8 model, or of the baseline of that name.
    """
    lines = []
    for model, sources in reference.items():
        own = next((row for row in means if row["model"] == model and row["stage"] in ("int8", "baseline")), {})
        own = own | {"Size (MB)": megabytes.get(f"{model}/{own.get('stage')}")}
        for source, numbers in sources.items():
            for key, value in numbers.items():
                ours = own.get(key)
                compared = ["not run"] * 2 if ours is None else [cell(ours), points(ours - value)]
                lines.append([model, key, source, cell(value), *compared])
    return lines


def with_interval(score: str, interval: tuple[float, float] | None) -> str:
    """The cell of a score, with its 95 % interval as a note."""
    return score if interval is None else Noted(score, f"95 % interval {cell(interval[0])} to {cell(interval[1])}")


def over_seeds(
    means: list[dict], seeds: dict[str, list[str]], intervals: Intervals
) -> Iterator[tuple[str, list[str], str, str]]:
    """Each model and stage once: its name, scores, stage, and the ``model/stage`` whose folder holds it.

    For a model that is trained with several seeds the scores are mean and standard deviation. A stage that all seeds
    share, such as ``distilled``, has no standard deviation, and like others an interval as a note.

    Args:
        means: of each model and stage.
        seeds: for each model of several seeds, the names of the models that differ in their seed only.
        intervals: of the scores of each model and stage.
    """
    group_of = {member: group for group, members in seeds.items() for member in members}
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in means:
        groups.setdefault((group_of.get(row["model"], row["model"]), row["stage"]), []).append(row)
    for (name, stage), rows in groups.items():
        columns = [[row[key] for row in rows if key in row] for key in MEANS]
        cells = [cell(fmean(scores) if scores else None) for scores in columns]
        if len(rows) > 1:
            name += f", {len(rows)} seeds"
            cells = [f"{mean} ± {stdev(s):.2f}" if s else mean for mean, s in zip(cells, columns, strict=True)]
        else:
            own = intervals.get((rows[0]["model"], stage), {})
            cells = [with_interval(mean, own.get(key)) for mean, key in zip(cells, MEANS, strict=True)]
        yield name, cells, stage, f"{rows[0]['model']}/{stage}"


def final_lines(
    means: list[dict], intervals: Intervals, megabytes: dict, speeds: dict, settings: dict
) -> list[list[str]]:
    """A line for each int8 model and each baseline, and below it one for each source that published its numbers.

    Sizes, and rows of ``speed.json``, are by ``model/stage``.
    """
    lines = []
    for name, cells, stage, first in over_seeds(means, settings["seeds"], intervals):
        if stage in ("int8", "baseline"):
            rate = rate_text(speeds[first]) if first in speeds else "not measured"
            lines.append([name, stage, *cells, cell(megabytes.get(first), 1), rate])
            for source, numbers in settings["reference"].get(name.partition(",")[0], {}).items():
                published = [cell(numbers.get(key)) for key in MEANS]
                lines.append([name, f"published: {source}", *published, cell(numbers.get("Size (MB)"), 1), "–"])
    return lines


def page(
    rows: list[dict],
    means: list[dict],
    intervals: Intervals,
    differences: list[dict],
    megabytes: dict,
    speed: dict,
    settings: dict,
) -> list[Section]:
    """The sections of the summary: first the final models, in a table that fits a screen, then all details."""
    stages = [
        [name, stage, *cells, cell(megabytes.get(first), 1)]
        for name, cells, stage, first in over_seeds(means, settings["seeds"], intervals)
    ]
    released = ", ".join(f"{stage} of {model}" for model, stage in settings["released"].items())
    tasks = {row["task"]: row for row in rows}
    counted = headings(Counter(task["category"] for task in tasks.values()))
    score = {(row["model"], row["stage"], row["task"]): row["score"] for row in rows}
    compared = [*DIFFERENCES_HEADER[: -len(CATEGORIES)], *counted]
    custom = {name: task for name, task in settings["custom_tasks"].items() if name in tasks}

    def scored(task: str, model: str, stage: str) -> str:
        return with_interval(cell(score.get((model, stage, task))), intervals[model, stage].get(task))

    sections = [
        Section(
            settings["run"],
            [settings["about"], EXPLANATION, settings["reference_about"] if settings["reference"] else ""],
            ["Model", "Kind", *counted, "Avg", "Size (MB)", "Sentences/s (threads)"],
            final_lines(means, intervals, megabytes, fastest(speed["rows"]), settings),
        ),
        Section("Differences and their significance", [DIFFERENCES], compared, difference_lines(differences)),
        Section(
            "Each stage",
            [f"int8 is the quantized released stage: {released}."],
            ["Model", "Stage", *counted, "Avg", "Size (MB)"],
            stages,
        ),
        Section("Speed and memory", [speed_text(speed)], SPEED_HEADER, speed_lines(speed)),
        Section(
            "Each task",
            [f"{name} ({t['type']}, not part of MTEB): {t['description']}." for name, t in custom.items()],
            ["Task", "Category", "Test items", *(f"{row['model']}, {row['stage']}" for row in means)],
            [
                [task, row["category"], f"{row['test_items']:,}", *(scored(task, *pair) for pair in intervals)]
                for task, row in tasks.items()
            ],
        ),
    ]
    if settings["reference"]:
        sections.append(
            Section(
                "Comparison with the reference",
                ["This run's numbers are those of int8 models and of baselines."],
                ["Model", "Metric", "Source", "Reference", "This run", "Difference"],
                reference_lines(settings["reference"], means, megabytes),
            )
        )
    return sections


def main(argv: list[str]) -> None:
    """Write the summary of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="mteb's JSON files")
    parser.add_argument(
        "--resampled", type=Path, nargs="+", required=True, help="parquet files of their bootstrap, model/stage.parquet"
    )
    parser.add_argument("--differences", type=Path, required=True, help="differences.csv")
    parser.add_argument("--speed", type=Path, required=True, help="speed.json")
    parser.add_argument(
        "--tasks", type=Path, nargs="+", required=True, help="the tasks' data, to count their test items"
    )
    parser.add_argument(
        "--weights", type=Path, nargs="*", default=[], help="the models' safetensors files, for their sizes"
    )
    parser.add_argument(
        "--baselines", type=Path, nargs="*", default=[], help="the baselines' folders, in the settings' order"
    )
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON: run, about, custom_tasks, reference…")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--html", type=Path, required=True)
    args = parser.parse_args(argv)

    settings = args.settings
    custom = {name: task["type"] for name, task in settings["custom_tasks"].items()}
    categories = categories_of({path.stem for path in args.results}, custom)
    items = {path.stem: test_items(path) for path in args.tasks}
    rows = read_results(args.results, categories)
    for row in rows:
        row |= {"test_items": items[row["task"]], "seed": settings["training_seeds"].get(row["model"])}
    means = averages(rows)
    resampled = {(path.parent.name, path.stem): polars.read_parquet(path) for path in args.resampled}
    intervals = {}
    for pair in [(row["model"], row["stage"]) for row in means]:
        scores = {row["task"]: row["score"] for row in rows if (row["model"], row["stage"]) == pair}
        intervals[pair] = score_intervals(scores, resampled[pair], categories, settings["evaluation_seed"])
    differences = read_differences(args.differences)
    speed = read_json(args.speed, ["rows", "loading", "failed"])
    sizes = {"/".join(path.parts[-3:-1]): path.stat().st_size for path in args.weights}
    for name, folder in zip(settings["baselines"], args.baselines, strict=True):
        sizes[f"{name}/baseline"] = weights_size(folder)

    shown = [row | {"score": f"{row['score']:.4f}", "seconds": f"{row['seconds']:.2f}"} for row in rows]
    with replacing(args.csv) as temporary:
        polars.DataFrame(shown, infer_schema_length=None).select(COLUMNS).write_csv(temporary)
    speeds = {name: row["texts_per_second"] for name, row in fastest(speed["rows"]).items()}
    content = {"settings": settings, "averages": means, "sizes": sizes, "speeds": speeds}
    content |= {"rows": rows, "versions": versions(*VERSIONED) | {"python": platform.python_version()}}
    write_json(args.json, content)
    megabytes = {name: size / 1e6 for name, size in sizes.items()}
    sections = page(rows, means, intervals, differences, megabytes, speed, settings)
    write_text(args.markdown, markdown_page(sections))
    write_text(args.html, render("page.html.jinja", sections=sections))


if __name__ == "__main__":
    run(main)
