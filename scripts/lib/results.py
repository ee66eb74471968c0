"""mteb's results as rows, and their averages."""

import json
import math
from collections.abc import Collection, Iterable
from pathlib import Path
from statistics import fmean

from lib.job.command import InputError, first_line
from lib.plan.tasks import DEVELOPMENT, TYPE_OF

CATEGORIES = ["STS", "Classification", "PairClassification"]
SPEED_HEADER = ["Model", "Stage", "Sentences/s (threads)", "Ratio", "One thread", "Ratio, one thread"]
SPEED_HEADER += ["Long texts/s (threads)", "One, ms", "99 %, ms", "Load, s", "MB"]


def categories_of(tasks: Collection[str], custom_types: dict[str, str]) -> dict[str, str]:
    """The category of each task: a custom task's type, or what mteb says of its own."""
    known = {name + suffix: category for name, category in TYPE_OF.items() for suffix in ("", DEVELOPMENT)}
    known |= custom_types
    found = {task: known[task] for task in tasks if task in known}
    others = [task for task in tasks if task not in known]
    if others:
        import mteb

        found |= {task: mteb.get_task(task.removesuffix(DEVELOPMENT)).metadata.type for task in others}
    return found


def read_result(path: Path, categories: dict[str, str], model: str, stage: str, task: str) -> dict:
    """One row of the summary from one of mteb's result files.

    Args:
        path: the file.
        categories: the category of each task.
        model: whose result it is.
        stage: of which stage.
        task: of which task.

    Raises:
        InputError: the file is not a result of the task.
    """
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
    if row["task"] != task:
        raise InputError(f"{path}: expected a result of {task}, found one of {row['task']}")
    return row


def read_results(paths: list[Path], categories: dict[str, str]) -> list[dict]:
    """The rows of result files ``…/model/stage/task.json``.

    Raises:
        InputError: a file is not a result of the task in its name.
    """
    return [read_result(path, categories, path.parts[-3], path.parts[-2], path.stem) for path in paths]


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


def fastest(rows: list[dict], texts: str = "short") -> dict[str, dict]:
    """The row of each model at the number of threads at which it is fastest.

    Args:
        rows: those of ``speed.json``.
        texts: ``short`` or ``long``.
    """
    ordered = sorted((row for row in rows if row["texts"] == texts), key=lambda row: row["texts_per_second"])
    return {row["model"]: row for row in ordered}  # the last of each


def rate_text(row: dict) -> str:
    """Texts a second, and with how many threads."""
    return f"{row['texts_per_second']:,.0f} ({row['threads']})"


def speed_lines(speed: dict, names: Iterable[str] | None = None) -> list[list[str]]:
    """The lines below ``SPEED_HEADER``: what ``speed.json`` says of the models ``model/stage``, or of all of them."""
    shown = list(dict.fromkeys([*speed["loading"], *speed["failed"]]) if names is None else names)
    measured = [name for name in shown if name not in speed["failed"]]
    best, long = fastest(speed["rows"]), fastest(speed["rows"], "long")
    single = fastest([row for row in speed["rows"] if row["threads"] == 1])
    slowest, slowest_single = (
        min((rows[name]["texts_per_second"] for name in measured), default=0.0) for rows in (best, single)
    )
    lines = []
    for name in shown:
        model, _, stage = name.rpartition("/")
        if name in speed["failed"]:
            why = f"not measured: {speed['failed'][name]}"
            lines.append([model, stage, why, *["–"] * (len(SPEED_HEADER) - 3)])
            continue
        alone, loaded = single[name], speed["loading"][name]
        lines.append([model, stage, rate_text(best[name]), f"{best[name]['texts_per_second'] / slowest:,.1f}"])
        lines[-1] += [f"{alone['texts_per_second']:,.0f}", f"{alone['texts_per_second'] / slowest_single:,.1f}"]
        lines[-1] += [rate_text(long[name]), *(f"{alone['milliseconds'][key]:.2f}" for key in ("p50", "p99"))]
        lines[-1] += [f"{loaded['seconds']:.2f}", f"{loaded['megabytes']:,.0f}"]
    return lines


def speed_text(speed: dict) -> str:
    """How the numbers of ``speed_lines`` were measured."""
    counts = " and with ".join(map(str, dict.fromkeys([1, speed["threads"]])))
    return (
        f"Measured in turns, in one process, on {speed['processor']}: {speed['sentences']:,} sentences of the corpus, "
        f"with {counts} thread(s). Each model is shown at its fastest number of threads (in parentheses), and with "
        "one; the ratio beside it is to the slowest model of the table. Long texts are twenty sentences; with one "
        "thread, the time that one sentence alone takes, half of the times and 99 % of them; the time to load; the "
        "memory that the model takes beside Python and its libraries."
    )
