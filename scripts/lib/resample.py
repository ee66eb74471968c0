"""The bootstrap of a task's score over its items (Efron 1979); the same seed samples the same items for every model.

So the difference of two models' resampled scores is a paired bootstrap of their difference.
"""

from collections.abc import Callable

import numpy as np

RESAMPLES = 1000
Statistic = Callable[[np.ndarray], np.ndarray]


def running_numbers(values: np.ndarray) -> tuple[Statistic, np.ndarray]:
    """How many sampled items are at most as large as each distinct value, and which of these values each item has."""
    order = np.argsort(values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    group = np.empty(len(values), dtype=np.int64)
    group[order] = np.repeat(np.arange(len(last)), np.diff(last, prepend=-1))
    return lambda counts: np.cumsum(counts[order])[last], group


def ranks(values: np.ndarray) -> Statistic:
    """Each item's rank in a sample, as a function of how often each was sampled; equal values share their mean rank."""
    up_to, group = running_numbers(values)

    def of_sample(counts: np.ndarray) -> np.ndarray:
        number = up_to(counts)
        return ((number + np.append(0, number[:-1]) + 1) / 2)[group]

    return of_sample


def spearman(values: np.ndarray, ratings: np.ndarray) -> Statistic:
    """Spearman's correlation of two ``[items]`` arrays, as a function of how often each item was sampled."""
    ranks_of_values, ranks_of_ratings = ranks(values), ranks(ratings)

    def of_sample(counts: np.ndarray) -> np.ndarray:
        mean_rank = (counts.sum() + 1) / 2
        x, y = ranks_of_values(counts) - mean_rank, ranks_of_ratings(counts) - mean_rank
        of_x = counts * x
        return (of_x * y).sum() / np.sqrt((of_x * x).sum() * (counts * y**2).sum())

    return of_sample


def average_precision(values: np.ndarray, labels: np.ndarray) -> Statistic:
    """Average precision of ``[items]`` values for 0/1 labels, as a function of how often each item was sampled."""
    up_to, _ = running_numbers(-values)

    def of_sample(counts: np.ndarray) -> np.ndarray:
        positives = up_to(counts * labels)
        return (np.diff(positives, prepend=0) * positives / np.maximum(up_to(counts), 1)).sum() / positives[-1]

    return of_sample


def mean(values: np.ndarray) -> Statistic:
    """The mean of an ``[items]`` array, as a function of how often each item was sampled."""
    return lambda counts: np.average(values, weights=counts)


def resampled(statistic: Statistic, items: int, seed: int | list[int]) -> np.ndarray:
    """A statistic over items sampled with replacement, as many as there are.

    Args:
        statistic: a function of how often each item was sampled, ``[items]``.
        items: their number.
        seed: of the sampling.

    Returns:
        ``[RESAMPLES]`` float64; where it is undefined for a sample (one label, equal ratings), that of all items.
    """
    random = np.random.default_rng(seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = [statistic(np.bincount(random.integers(items, size=items), minlength=items)) for _ in range(RESAMPLES)]
        values = np.array(values)
        return np.where(np.isfinite(values), values, statistic(np.ones(items)))
