"""mteb's results as rows, and their averages."""

import json
import math
from collections.abc import Collection
from pathlib import Path
from statistics import fmean

from lib.job.command import InputError, first_line
from lib.plan.tasks import CATEGORIES, DEVELOPMENT, TYPE_OF


def categories_of(tasks: Collection[str], custom_types: dict[str, str]) -> dict[str, str]:
    """The category of each task: a custom task's type, or mteb's type for its own tasks."""
    known = {name + suffix: category for name, category in TYPE_OF.items() for suffix in ("", DEVELOPMENT)}
    known |= custom_types
    categories = {task: known[task] for task in tasks if task in known}
    others = [task for task in tasks if task not in known]
    if others:
        import mteb

        categories |= {task: mteb.get_task(task.removesuffix(DEVELOPMENT)).metadata.type for task in others}
    return categories


def read_result(path: Path, categories: dict[str, str], model: str, stage: str, task: str) -> dict:
    """One row of the summary from one of mteb's result files.

    Args:
        path: the file.
        categories: the category of each task.
        model: the model that was scored.
        stage: its stage.
        task: the task.

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
    """The category means and macro average (the mean of the category means) of one model's rows, × 100."""
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
