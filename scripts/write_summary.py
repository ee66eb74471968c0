"""Write the summary of a run as pages, in Markdown and in HTML with the plots."""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev

from markupsafe import Markup

from lib.differences import read_differences
from lib.job.command import run
from lib.job.files import read_json, write_text
from lib.page import Noted, Section, markdown_page, render
from lib.plan.tasks import CATEGORIES
from lib.results import fastest
from lib.summary_tables import (
    DIFFERENCES,
    DIFFERENCES_HEADER,
    SCORES,
    SPEED_HEADER,
    cell,
    difference_lines,
    headings,
    points,
    rate_text,
    speed_lines,
    speed_text,
    task_notes,
)

EXPLANATION = (
    f"{SCORES} Size is that of the weights' files. Sentences/s is how many sentences a CPU embeds per second at the "
    "model's fastest number of threads, which is in parentheses."
)
STAGES = {
    "distilled": "model2vec's distillation of the teacher",
    "tokenlearn": "trained by tokenlearn",
    "pretrained": "trained on the teacher's embeddings of sentences",
    "born-again": "a fresh student, trained on the embeddings of the stage before it",
    "derived": "another model with fewer dimensions or shared vectors",
    "baseline": "a model of other authors, scored by the same code",
}
MEANS = [*CATEGORIES, "Avg"]
Intervals = dict[str, dict[str, list[float]]]  # the low and high end of each task, category and Avg, by model/stage


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


def with_interval(score: str, interval: list[float] | None) -> str:
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
        intervals: of the scores of each ``model/stage``.
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
            own = intervals.get(f"{rows[0]['model']}/{stage}", {})
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


def page(summary: dict, differences: list[dict], speed: dict, teachers: list[str]) -> list[Section]:
    """The sections of the summary: first the final models, in a table that fits a screen, then all details.

    Args:
        summary: ``summary.json``.
        differences: the rows of ``differences.csv``.
        speed: ``speed.json``.
        teachers: notes, each with the teacher's name before it.
    """
    rows, means, intervals, settings = (summary[key] for key in ("rows", "averages", "intervals", "settings"))
    megabytes = {name: size / 1e6 for name, size in summary["sizes"].items()}
    stages = [
        [name, stage, *cells, cell(megabytes.get(first), 1)]
        for name, cells, stage, first in over_seeds(means, settings["seeds"], intervals)
    ]
    released = ", ".join(f"{stage} of {model}" for model, stage in settings["released"].items())
    shown = [name for name in STAGES if any(row["stage"].startswith(name) for row in means)]
    tasks = {row["task"]: row for row in rows}
    counted = headings(Counter(task["category"] for task in tasks.values()))
    score = {(f"{row['model']}/{row['stage']}", row["task"]): row["score"] for row in rows}
    compared = [*DIFFERENCES_HEADER, *counted]

    def scored(task: str, name: str) -> str:
        return with_interval(cell(score.get((name, task))), intervals[name].get(task))

    sections = [
        Section(
            settings["run"],
            [
                settings["about"],
                EXPLANATION,
                *(f"Note on {note}." for note in teachers),
                settings["reference_about"] if settings["reference"] else "",
            ],
            ["Model", "Kind", *counted, "Avg", "Size (MB)", "Sentences/s (threads)"],
            final_lines(means, intervals, megabytes, fastest(speed["rows"]), settings),
        ),
        Section("Differences and their significance", [DIFFERENCES], compared, difference_lines(differences)),
        Section(
            "Each stage",
            [
                "; ".join(f"«{name}» is {STAGES[name]}" for name in shown) + ".",
                f"«int8» is the quantized released stage: {released}.",
            ],
            ["Model", "Stage", *counted, "Avg", "Size (MB)"],
            stages,
        ),
        Section("Speed and memory", [speed_text(speed)], SPEED_HEADER, speed_lines(speed)),
        Section(
            "Each task",
            task_notes(settings["custom_tasks"], tasks),
            ["Task", "Category", "Test items", *(f"{row['model']}, {row['stage']}" for row in means)],
            [
                [task, row["category"], f"{row['test_items']:,}", *(scored(task, name) for name in intervals)]
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


def drawing(path: Path) -> Markup:
    """An SVG that draw_plots.py wrote, which escapes texts, as a part of an HTML page."""
    text = path.read_text(encoding="utf-8")
    return Markup(text[text.index("<svg") :])


def main(argv: list[str]) -> None:
    """Write the pages of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=Path, required=True, help="summary.json")
    parser.add_argument("--differences", type=Path, required=True, help="differences.csv")
    parser.add_argument("--speed", type=Path, required=True, help="speed.json")
    parser.add_argument("--teacher", type=Path, nargs="+", required=True, help="checked.json of each teacher")
    parser.add_argument("--plots", type=Path, nargs="*", default=[], help="SVG files that the HTML shows")
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--html", type=Path, required=True)
    args = parser.parse_args(argv)
    speed = read_json(args.speed, ["rows", "loading", "failed"])
    notes = [f"{path.parent.name}: {note}" for path in args.teacher for note in read_json(path, ["notes"])["notes"]]
    sections = page(read_json(args.summary), read_differences(args.differences), speed, notes)
    write_text(args.markdown, markdown_page(sections))
    write_text(args.html, render("page.html.jinja", sections=sections, plots=list(map(drawing, args.plots))))


if __name__ == "__main__":
    run(main)
