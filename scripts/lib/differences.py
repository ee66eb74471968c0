"""Differences of two models' scores, with the intervals of a paired bootstrap."""

import numpy as np
import polars

from lib.results import CATEGORIES

INTERVAL = (2.5, 97.5)


def difference(
    ours: dict[str, float],
    theirs: dict[str, float],
    ours_resampled: polars.DataFrame,
    theirs_resampled: polars.DataFrame,
    categories: dict[str, str],
    seed: int,
) -> list[dict]:
    """How much better we are than they are on each task, in each category, and on the macro average.

    Two 95 % intervals: over the items of these tasks, and, of the means, over tasks as well, drawn with return within
    their category, as other tasks of the kind would be.

    Args:
        ours: our score of each task, in hundredths.
        theirs: theirs.
        ours_resampled: a column a task, ``[RESAMPLES]`` scores of ours (0 to 1) over drawn items.
        theirs_resampled: theirs, of the same draws.
        categories: the category of each task.
        seed: of the draws of tasks.

    Returns:
        Rows of ``of`` (a task, a category or ``Avg``), ``difference``, ``low``, ``high``, ``low_over_tasks``,
        ``high_over_tasks`` (None of a task), ``stands`` (yes, these tasks, no).
    """
    random = np.random.default_rng(seed)
    rows, means = [], []
    for category in CATEGORIES:
        tasks = [task for task in ours if task in theirs and categories[task] == category]
        if not tasks:
            continue
        drawn = 100 * np.stack([(ours_resampled[task] - theirs_resampled[task]).to_numpy() for task in tasks])
        found = np.array([ours[task] - theirs[task] for task in tasks])
        drawn += (found - drawn.mean(axis=1))[:, None]  # a resampled score has a bias of its own
        rows += [row(task, value, values) for task, value, values in zip(tasks, found, drawn, strict=True)]
        picked = random.integers(len(tasks), size=drawn.shape)
        means.append((category, found.mean(), drawn.mean(axis=0), np.take_along_axis(drawn, picked, 0).mean(axis=0)))
    rows += [row(*values) for values in means]
    _, value, items, over_tasks = zip(*means, strict=True)
    return [*rows, row("Avg", float(np.mean(value)), np.mean(items, axis=0), np.mean(over_tasks, axis=0))]


def row(of: str, value: float, items: np.ndarray, tasks: np.ndarray | None = None) -> dict:
    """One difference with its intervals, of ``[RESAMPLES]`` differences over items, and over tasks too."""
    low, high = np.percentile(items, INTERVAL)
    wide = (None, None) if tasks is None else tuple(map(float, np.percentile(tasks, INTERVAL)))
    stands = "no"
    if low > 0 or high < 0:
        stands = "these tasks" if wide[0] is not None and wide[0] <= 0 <= wide[1] else "yes"
    return {
        "of": of,
        "difference": float(value),
        "low": float(low),
        "high": float(high),
        "low_over_tasks": wide[0],
        "high_over_tasks": wide[1],
        "stands": stands,
    }
