"""Say which scores a run that failed has and which it lacks, which jobs failed, with what error, and their logs."""

import argparse
import json
import re
from pathlib import Path

from lib.job.command import run
from lib.job.files import read_json, write_text
from lib.job.progress import say
from lib.page import Section, markdown_page
from lib.results import CATEGORIES, average, categories_of, read_result
from lib.summary_tables import cell

ERROR = re.compile(r"\S+\.py: (error: |interrupted)|[\w.]+(Error|Exception)\b")


def last_error(log: Path, since: float) -> str:
    """The last error in the log of a job that failed; of a log without, what it ends with.

    Args:
        log: the job's.
        since: when the run began; a log of before is not this job's.
    """
    fresh = log.is_file() and log.stat().st_mtime >= since
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()] if fresh else []
    errors = [line for line in lines if ERROR.match(line)]
    if errors:
        return errors[-1]
    return f"killed? Its log ends without an error: {lines[-1]}" if lines else "killed? It wrote nothing into its log"


def main(argv: list[str]) -> None:
    """Write what there is as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="the run's folder")
    parser.add_argument("--scored", nargs="+", required=True, help="each model/stage that is to be scored")
    parser.add_argument("--tasks", nargs="+", required=True)
    parser.add_argument("--custom", type=json.loads, default={}, help="JSON: the types of custom tasks, by name")
    parser.add_argument("--failed", type=json.loads, default=[], help="JSON: failed jobs: name, log, models/stages")
    parser.add_argument("--output", type=Path, required=True, help="the Markdown to write")
    args = parser.parse_args(argv)

    since = (args.results / ".claimed").stat().st_mtime  # when this run took the folder
    jobs = [[job, last_error(Path(log), since), log] for job, log, _ in args.failed]
    cause = {name: job for job, (_, _, needed_for) in zip(jobs, args.failed, strict=True) for name in needed_for}
    categories = categories_of(args.tasks, args.custom)
    lines, lacking = [], []
    for name in args.scored:
        scores, cache = (args.results / "mteb" / folder / name for folder in ("results", "cache"))
        report = cache / "failed.json"
        fresh = report.exists() and report.stat().st_mtime >= since
        failed = read_json(report) if fresh else {}
        files = {task: cache / task / "result.json" if fresh else scores / f"{task}.json" for task in args.tasks}
        files = {task: path for task, path in files.items() if task not in failed}
        model, stage = name.split("/")
        rows = [read_result(path, categories, model, stage, task) for task, path in files.items() if path.exists()]
        missing = [task for task in args.tasks if task not in {row["task"] for row in rows}]
        why, log = "not scored: not asked for, or the run ended before", "–"
        if name in cause:
            job, error, log = cause[name]
            why = f"not scored: {job}: {error}"
        lacking += [[model, stage, task, failed.get(task, why), log] for task in missing]
        whole = [row for row in rows if row["category"] not in {categories[task] for task in missing}]
        means = average(whole) if whole else {}
        if missing:
            means.pop("Avg", None)
        lines.append([model, stage, *(cell(means.get(key)) for key in [*CATEGORIES, "Avg"]), str(len(rows))])
    sections = [
        Section(
            "An unfinished run",
            [f"{len(lacking)} of {len(args.scored) * len(args.tasks)} scores are missing."],
            ["Model", "Stage", "Task", "Why", "Log"],
            lacking,
        ),
        Section("The jobs that failed", ["The log has more."], ["Job", "Its last error", "Log"], jobs),
        Section(
            "What there is",
            ["A category's mean is shown where none of its tasks is missing."],
            ["Model", "Stage", *CATEGORIES, "Avg", "Scores"],
            lines,
        ),
    ]
    write_text(args.output, markdown_page(sections))
    for *what, why, log in [*lacking, *jobs]:
        if not why.startswith("not scored: "):
            say(f"FAILED {' '.join(what)}: {why} ({log})")
    say(f"unfinished: {len(lacking)} scores are missing; {args.output} has what there is")


if __name__ == "__main__":
    run(main)
