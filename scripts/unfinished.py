"""Report on a failed run: its scores, the missing ones, and the failed jobs with their errors and logs."""

import argparse
import json
import re
from pathlib import Path

from lib.job.command import run
from lib.job.files import read_json, write_text
from lib.job.progress import say
from lib.page import Section, markdown_page
from lib.plan.tasks import CATEGORIES
from lib.results import average, categories_of, read_result
from lib.summary_tables import cell

ERROR = re.compile(r"\S+\.py: (error: |interrupted)|[\w.]+(Error|Exception)\b")


def last_error(log: Path, since: float) -> str:
    """The last error in the log of a failed job, or else its last line.

    Args:
        log: the job's log.
        since: when the run began; an older log is not this job's.
    """
    if log.is_file() and log.stat().st_mtime < since:
        return "killed? The log is older than the run"
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()] if log.is_file() else []
    errors = [line for line in lines if ERROR.match(line)]
    if errors:
        return errors[-1]
    return f"killed? The log ends without an error: {lines[-1]}" if lines else "killed? The log is empty"


def main(argv: list[str]) -> None:
    """Write the report as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="the run's folder")
    parser.add_argument("--scored", nargs="+", required=True, help="each model/stage to be scored")
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--custom", type=json.loads, default={}, help="JSON: the types of custom tasks, by name")
    parser.add_argument(
        "--failed",
        type=json.loads,
        default=[],
        help="JSON list of failed jobs: [name, log, [model/stage that needs it]]",
    )
    parser.add_argument("--current", nargs="*", default=[], help="each model/stage whose scores are up to date")
    parser.add_argument("--output", type=Path, required=True, help="the Markdown file to write")
    args = parser.parse_args(argv)

    since = (args.results / ".claimed").stat().st_mtime  # when this run locked the folder
    jobs = [[job, last_error(Path(log), since), log] for job, log, _ in args.failed]
    cause = {name: job for job, (_, _, needed_for) in zip(jobs, args.failed, strict=True) for name in needed_for}
    categories = categories_of(args.tasks, args.custom)
    lines, missing_rows = [], []
    for name in args.scored:
        scores, cache = (args.results / "mteb" / folder / name for folder in ("results", "cache"))
        report = cache / "failed.json"
        failed, files = {}, {}
        if name in cause and cause[name][0].startswith("evaluate_") and report.exists():
            failed = read_json(report)
            files = {task: cache / task / "result.json" for task in args.tasks if task not in failed}
        elif name in args.current:
            files = {task: scores / f"{task}.json" for task in args.tasks}
        model, stage = name.split("/")
        rows = [read_result(path, categories, model, stage, task) for task, path in files.items() if path.exists()]
        missing = [task for task in args.tasks if task not in {row["task"] for row in rows}]
        why, log = "not scored: not requested, or the run ended before", "–"
        if name in cause:
            job, error, log = cause[name]
            why = f"not scored: {job}: {error}"
        missing_rows += [[model, stage, task, failed.get(task, why), log] for task in missing]
        complete = [row for row in rows if row["category"] not in {categories[task] for task in missing}]
        means = average(complete) if complete else {}
        if missing:
            means.pop("Avg", None)
        lines.append([model, stage, *(cell(means.get(key)) for key in [*CATEGORIES, "Avg"]), str(len(rows))])
    sections = [
        Section(
            "Unfinished run",
            [f"{len(missing_rows)} of {len(args.scored) * len(args.tasks)} scores are missing."],
            ["Model", "Stage", "Task", "Reason", "Log"],
            missing_rows,
        ),
        Section("Failed jobs", ["The logs have details."], ["Job", "Last error", "Log"], jobs),
        Section(
            "Available scores",
            ["The mean of a category is shown if none of its tasks is missing."],
            ["Model", "Stage", *CATEGORIES, "Avg", "Scores"],
            lines,
        ),
    ]
    write_text(args.output, markdown_page(sections))
    for *what, why, log in [*missing_rows, *jobs]:
        if not why.startswith("not scored: "):
            say(f"FAILED {' '.join(what)}: {why} ({log})")
    say(f"unfinished: {len(missing_rows)} scores are missing; see {args.output}")


if __name__ == "__main__":
    run(main)
