"""Say which scores a run that failed has and which it lacks, and where the logs are."""

import argparse
import json
from pathlib import Path

from lib.command import run
from lib.files import read_json, replacing
from lib.page import markdown_page
from lib.progress import say
from lib.results import CATEGORIES, average, categories_of, read_result
from summary import cell


def main(argv: list[str]) -> None:
    """Write what there is as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="the run's folder")
    parser.add_argument("--scored", nargs="+", required=True, help="each model/stage that is to be scored")
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--custom", type=json.loads, default={}, help="JSON: the types of custom tasks, by name")
    parser.add_argument("--output", type=Path, required=True, help="the Markdown to write")
    args = parser.parse_args(argv)

    categories = categories_of(args.tasks, args.custom)
    lines, lacking = [], []
    for name in args.scored:
        scores = args.results / "mteb" / "results" / name
        report = args.results / "mteb" / "kept" / name / "failed.json"
        failed = read_json(report) if report.exists() else {"failed": {}, "kept": {}}
        files = {task: args.results / "mteb" / "kept" / name / kept for task, kept in failed["kept"].items()}
        files = {task: scores / f"{task}.json" for task in args.tasks} | files
        model, stage = name.split("/")
        rows = [read_result(path, categories, model, stage, task) for task, path in files.items() if path.exists()]
        missing = [task for task in args.tasks if task not in {row["task"] for row in rows}]
        log = args.results / "logs" / "evaluate" / f"{name}.log"
        for task in missing:
            why = failed["failed"].get(task, "not scored: see the run's own output")
            lacking.append([*name.split("/"), task, why, str(log) if task in failed["failed"] else "–"])
        whole = [row for row in rows if row["category"] not in {categories[task] for task in missing}]
        means = average(whole) if whole else {}
        if missing:
            means.pop("Avg", None)
        lines.append([*name.split("/"), *(cell(means.get(key)) for key in [*CATEGORIES, "Avg"]), str(len(rows))])
    sections = [
        {
            "heading": "An unfinished run",
            "text": [f"{len(lacking)} of {len(args.scored) * len(args.tasks)} scores are missing."],
            "header": ["Model", "Stage", "Task", "Why", "Log"],
            "lines": lacking,
        },
        {
            "heading": "What there is",
            "text": ["A category's mean is shown where none of its tasks is missing."],
            "header": ["Model", "Stage", *CATEGORIES, "Avg", "Scores"],
            "lines": lines,
        },
    ]
    with replacing(args.output) as temporary:
        temporary.write_text(markdown_page(sections), encoding="utf-8")
    for line in lacking:
        if line[-1] != "–":
            say(f"FAILED {' '.join(line[:3])}: {line[3]} ({line[4]})")
    say(f"unfinished: {len(lacking)} scores are missing; {args.output} has what there is")


if __name__ == "__main__":
    run(main)
