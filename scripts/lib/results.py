"""mteb's results as rows, and their averages."""

import json
import math
from collections.abc import Collection, Iterable
from pathlib import Path
from statistics import fmean

from lib.benchmark import DEVELOPMENT, TYPE_OF
from lib.command import InputError, first_line

CATEGORIES = ["STS", "Classification", "PairClassification"]
SPEED_HEADER = ["Model", "Stage", "Sentences/s", "One thread", "Long texts/s", "One, ms", "99 %, ms", "Load, s", "MB"]


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


def speed_lines(speed: dict, names: Iterable[str] | None = None) -> list[list[str]]:
    """The lines below ``SPEED_HEADER``: what ``speed.json`` says of the models ``model/stage``, or of all of them."""
    found = {(row["model"], row["threads"], row["texts"]): row for row in speed["rows"]}
    most = max(threads for _, threads, _ in found)
    lines = []
    for name in speed["loading"] if names is None else names:
        model, _, stage = name.rpartition("/")
        rates = [found[name, *key]["texts_per_second"] for key in [(most, "short"), (1, "short"), (most, "long")]]
        alone, loaded = found[name, 1, "short"]["milliseconds"], speed["loading"][name]
        lines.append([model, stage, *(f"{rate:,.0f}" for rate in rates)])
        lines[-1] += [f"{alone['p50']:.2f}", f"{alone['p99']:.2f}", f"{loaded['seconds']:.2f}"]
        lines[-1] += [f"{loaded['megabytes']:,.0f}"]
    return lines


def speed_text(speed: dict) -> str:
    """How the numbers of ``speed_lines`` were measured."""
    most = max(row["threads"] for row in speed["rows"])
    return (
        f"Measured in turns, in one process, on {speed['processor']}: {speed['sentences']:,} sentences of the corpus "
        f"with {most} threads and with one; long texts of twenty sentences, with {most}; with one thread the time that "
        "one sentence alone takes, half of the times and 99 % of them; the time to load; the memory that the model "
        "takes beside Python and its libraries."
    )
