"""Differences of two models' scores, with the intervals of a paired bootstrap."""

from pathlib import Path

import numpy as np
import polars

from lib.plan.tasks import CATEGORIES

INTERVAL = (2.5, 97.5)
NUMBERS = ["difference", "low", "high", "low_over_tasks", "high_over_tasks"]
LEAST_TASKS = 3  # of a category, to represent other tasks of its kind


def difference(
    ours: dict[str, float],
    theirs: dict[str, float],
    ours_resampled: polars.DataFrame,
    theirs_resampled: polars.DataFrame,
    categories: dict[str, str],
    seed: int,
) -> list[dict]:
    """How much better the first model is than the second on each task, in each category, and on the macro average.

    Two 95 % intervals: over the items of these tasks and, for means, over tasks as well. For the latter the tasks of
    each category are sampled with replacement too, because other tasks of the kind could have been chosen. If a
    category has fewer than ``LEAST_TASKS`` tasks, there is no interval over tasks; that of a single task would be the
    one over items.

    Args:
        ours: the first model's score on each task, × 100.
        theirs: the second model's.
        ours_resampled: a column for each task, the first model's ``[RESAMPLES]`` scores (0 to 1) over sampled items.
        theirs_resampled: the second model's, over the same samples.
        categories: the category of each task.
        seed: of the sampling of tasks.

    Returns:
        Rows of ``of`` (a task, a category or ``Avg``), ``difference``, ``low``, ``high``, ``low_over_tasks``,
        ``high_over_tasks`` (None for a task, and if there are too few tasks), ``significant``: «over items and
        tasks» if both intervals exclude zero, «over items» if only the one over items does, else «no».
    """
    random = np.random.default_rng(seed)
    rows, means = [], []
    for category in CATEGORIES:
        tasks = [task for task in ours if task in theirs and categories[task] == category]
        if not tasks:
            continue
        sampled = 100 * np.stack([(ours_resampled[task] - theirs_resampled[task]).to_numpy() for task in tasks])
        observed = np.array([ours[task] - theirs[task] for task in tasks])
        sampled += (observed - sampled.mean(axis=1))[:, None]  # a resampled score has a bias of its own
        rows += [row(task, value, values) for task, value, values in zip(tasks, observed, sampled, strict=True)]
        picked = random.integers(len(tasks), size=sampled.shape)
        over_tasks = np.take_along_axis(sampled, picked, 0).mean(axis=0) if len(tasks) >= LEAST_TASKS else None
        means.append((category, observed.mean(), sampled.mean(axis=0), over_tasks))
    rows += [row(*values) for values in means]
    _, value, items, wide = zip(*means, strict=True)
    over_tasks = None if any(each is None for each in wide) else np.mean(wide, axis=0)
    return [*rows, row("Avg", float(np.mean(value)), np.mean(items, axis=0), over_tasks)]


def score_intervals(
    scores: dict[str, float], resampled: polars.DataFrame, categories: dict[str, str], seed: int
) -> dict[str, tuple[float, float]]:
    """The 95 % interval, over items, of a model's score on each task, in each category, and on average; all × 100.

    It is that of the difference from a model that scores zero; see ``difference``.
    """
    zeros = dict.fromkeys(scores, 0.0)
    rows = difference(scores, zeros, resampled, polars.DataFrame([zeros] * len(resampled)), categories, seed)
    return {row["of"]: (row["low"], row["high"]) for row in rows}


def read_differences(path: Path) -> list[dict]:
    """The rows that ``compare_stages.py`` wrote."""
    types = dict.fromkeys(NUMBERS, polars.Float64)
    return polars.read_csv(path, infer_schema=False, schema_overrides=types).to_dicts()


def row(of: str, value: float, items: np.ndarray, tasks: np.ndarray | None = None) -> dict:
    """One difference with its intervals, of ``[RESAMPLES]`` differences over items, and over tasks too."""
    low, high = np.percentile(items, INTERVAL).tolist()
    wide = [] if tasks is None else np.percentile(tasks, INTERVAL).tolist()
    if low <= 0 <= high:
        significant = "no"
    elif not wide or wide[0] <= 0 <= wide[1]:
        significant = "over items"
    else:
        significant = "over items and tasks"
    return {
        "of": of,
        "difference": float(value),
        "low": low,
        "high": high,
        "low_over_tasks": wide[0] if wide else None,
        "high_over_tasks": wide[1] if wide else None,
        "significant": significant,
    }
