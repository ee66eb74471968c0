"""Gather every result of a run into one table, as CSV, JSON, Markdown and HTML."""

import argparse
import csv
import importlib.metadata
import io
import json
import math
import platform
from pathlib import Path
from statistics import fmean

from jinja2 import Environment, StrictUndefined

from lib.benchmark import TYPE_OF
from lib.command import InputError, first_line, run
from lib.files import replacing, write_json
from lib.model_folder import weights_size

CATEGORIES = ["STS", "Classification", "PairClassification"]
EXPLANATION = (
    "Avg is the macro average: the mean of the category means. Scores are mteb's main scores in hundredths: Spearman "
    "correlation of cosines (STS), accuracy (classification), average precision (pair classification). Size is that of "
    "the weights' files."
)
MARKDOWN = """\
{% for section in sections %}
{{ "#" if loop.first else "##" }} {{ section.heading }}

{% for paragraph in section.text if paragraph %}
{{ paragraph }}

{% endfor %}
| {{ section.header | join(" | ") }} |
|---|---{{ "|---:" * (section.header | length - 2) }}|
{% for cells in section.lines %}
| {{ cells | join(" | ") }} |
{% endfor %}
{{ "" if loop.last else "\n" }}
{%- endfor %}
"""
HTML = """\
<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Summary</title>
<style>
.summary { font: 15px/1.5 sans-serif; margin: 1.5em; max-width: 80em }
.summary div { overflow-x: auto }
.summary table { border-collapse: collapse }
.summary th, .summary td { padding: .25em .8em; border-bottom: 1px solid #ccc; text-align: right; white-space: nowrap }
.summary :is(th, td):nth-child(-n+2) { text-align: left }
</style>
<div class="summary">
{% for section in sections %}
<h2>{{ section.heading }}</h2>
{% for paragraph in section.text if paragraph %}
<p>{{ paragraph }}</p>
{% endfor %}
<div><table>
<tr>{% for name in section.header %}<th>{{ name }}</th>{% endfor %}</tr>
{% for cells in section.lines %}
<tr>{% for value in cells %}<td>{{ value }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
{% endfor %}
</div>
</html>
"""
COLUMNS = ["model", "stage", "task", "category", "score", "seconds", "mteb_version", "dataset_revision", "result"]
VERSIONED = ["model2vec", "mteb", "numpy", "scikit-learn", "snakemake", "tokenizers", "torch", "transformers"]


def category_of(task: str, custom_tasks: dict) -> str:
    """The category of a task: a custom task's type, or what mteb says of its own."""
    if task in custom_tasks:
        return custom_tasks[task]["type"]
    if task in TYPE_OF:
        return TYPE_OF[task]
    import mteb

    return mteb.get_task(task).metadata.type


def read_result(path: Path, categories: dict[str, str]) -> dict:
    """One row of the summary from one of mteb's result files, ``…/model/stage/task.json``.

    Raises:
        InputError: the file is not a result of the task in its name.
    """
    model, stage, name = path.parts[-3:]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        scores = [subset["main_score"] for split in content["scores"].values() for subset in split]
        row = {
            "model": model,
            "stage": stage,
            "task": content["task_name"],
            "category": categories[content["task_name"]],
            "score": 100 * fmean(scores),
            "seconds": content["evaluation_time"],
            "mteb_version": content["mteb_version"],
            "dataset_revision": content["dataset_revision"],
            "result": path.as_posix(),
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected a result of mteb, found another ({type(error).__name__}: {first_line(error)}); "
            "delete the file to score it again"
        ) from error
    if not math.isfinite(row["score"]):
        raise InputError(f"{path}: expected a finite score, found {row['score']}; delete the file to score it again")
    if row["task"] != Path(name).stem:
        raise InputError(f"{path}: expected a result of {Path(name).stem}, found one of {row['task']}")
    return row


def average(rows: list[dict]) -> dict:
    """Category means and their macro average (the mean of the category means), in hundredths, of one model's rows."""
    means = {}
    for category in CATEGORIES:
        scores = [row["score"] for row in rows if row["category"] == category]
        if scores:
            means[category] = fmean(scores)
    return means | {"Avg": fmean(means.values())}


def averages(rows: list[dict]) -> list[dict]:
    """``average`` of each (model, stage), in the order of the rows."""
    keys = list(dict.fromkeys((row["model"], row["stage"]) for row in rows))
    grouped = {key: [row for row in rows if (row["model"], row["stage"]) == key] for key in keys}
    return [{"model": model, "stage": stage} | average(group) for (model, stage), group in grouped.items()]


def cell(value: float | None, digits: int = 2) -> str:
    """A number as the table shows it; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def reference_lines(reference: dict, means: list[dict], sizes: dict) -> list[list[str]]:
    """For each number of the reference: model, number, whose, theirs, our int8's, the difference, or «not run»."""
    lines = []
    for model, theirs in reference.items():
        own = next((row for row in means if row["model"] == model and row["stage"] == "int8"), {})
        if f"{model}/int8" in sizes:
            own = own | {"Size (MB)": sizes[f"{model}/int8"] / 1e6}
        for whose, numbers in theirs.items():
            for key, value in numbers.items():
                ours = own.get(key)
                difference = "not run" if ours is None else f"{ours - value:+.2f}"
                lines.append([model, key, whose, cell(value), "not run" if ours is None else cell(ours), difference])
    return lines


def page(rows: list[dict], means: list[dict], sizes: dict, settings: dict) -> list[dict]:
    """The sections of the summary: each a heading, paragraphs, and a table of a header and lines of cells."""
    lines = []
    for row in means:
        size = sizes.get(f"{row['model']}/{row['stage']}")
        megabytes = None if size is None else size / 1e6
        lines.append(
            [row["model"], row["stage"], *(cell(row.get(k)) for k in [*CATEGORIES, "Avg"]), cell(megabytes, 1)]
        )
    released = ", ".join(f"{stage} of {model}" for model, stage in settings["released"].items())
    sections = [
        {
            "heading": settings["run"],
            "text": [settings["about"], EXPLANATION, f"int8 is the released stage, quantized: {released}."],
            "header": ["Model", "Stage", *CATEGORIES, "Avg", "Size (MB)"],
            "lines": lines,
        }
    ]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    score = {(row["model"], row["stage"], row["task"]): row["score"] for row in rows}
    custom = {name: task for name, task in settings["custom_tasks"].items() if name in tasks}
    sections.append(
        {
            "heading": "Each task",
            "text": [f"{name} ({t['type']}, no part of MTEB): {t['description']}." for name, t in custom.items()],
            "header": ["Model", "Stage", *tasks],
            "lines": [
                [r["model"], r["stage"], *(cell(score.get((r["model"], r["stage"], task))) for task in tasks)]
                for r in means
            ],
        }
    )
    if settings["reference"]:
        sections.append(
            {
                "heading": "Beside the reference",
                "text": [settings["reference_about"]],
                "header": ["Model", "Number", "Whose", "Reference", "Ours", "Difference"],
                "lines": reference_lines(settings["reference"], means, sizes),
            }
        )
    return sections


def rendered(template: str, sections: list[dict], escape: bool) -> str:
    """The sections laid out by a Jinja template; ``escape`` what stands for something else in HTML."""
    environment = Environment(
        autoescape=escape, trim_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.from_string(template).render(sections=sections)


def main(argv: list[str]) -> None:
    """Write the summary of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="mteb's JSON files")
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="models' safetensors, for their sizes")
    parser.add_argument("--baselines", type=Path, nargs="*", default=[], help="folders of the settings' baselines")
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON: run, about, custom_tasks, reference…")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--markdown", type=Path, required=True)
    parser.add_argument("--html", type=Path, required=True)
    args = parser.parse_args(argv)

    custom_tasks = args.settings["custom_tasks"]
    categories = {task: category_of(task, custom_tasks) for task in {path.stem for path in args.results}}
    rows = [read_result(path, categories) for path in args.results]
    means = averages(rows)
    sizes = {"/".join(path.parts[-3:-1]): path.stat().st_size for path in args.weights}
    for name, folder in zip(args.settings["baselines"], args.baselines, strict=True):
        sizes[f"{name}/baseline"] = weights_size(folder)

    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"score": f"{row['score']:.4f}", "seconds": f"{row['seconds']:.2f}"} for row in rows)
    with replacing(args.csv) as temporary:
        temporary.write_text(table.getvalue(), encoding="utf-8")
    versions = {name: importlib.metadata.version(name) for name in VERSIONED} | {"python": platform.python_version()}
    write_json(
        args.json,
        {"settings": args.settings, "averages": means, "sizes": sizes, "rows": rows, "versions": versions},
    )
    sections = page(rows, means, sizes, args.settings)
    for path, template in [(args.markdown, MARKDOWN), (args.html, HTML)]:
        with replacing(path) as temporary:
            temporary.write_text(rendered(template, sections, escape=template is HTML), encoding="utf-8")


if __name__ == "__main__":
    run(main)
