"""Which differences between two models are more than chance."""

import numpy as np
import polars
import pytest

from lib.differences import difference

TASKS = ["A", "B", "C", "D"]


def found(gains, noise):
    """The rows of a difference whose tasks gain so much, each item drawn adding noise of its own."""
    random = np.random.default_rng(1)
    theirs = dict.fromkeys(TASKS, 50.0)
    ours = {task: 50.0 + gain for task, gain in zip(TASKS, gains, strict=True)}
    drawn = [
        polars.DataFrame({task: score / 100 + noise * random.normal(size=1000) / 100 for task, score in scores.items()})
        for scores in (ours, theirs)
    ]
    return {row["of"]: row for row in difference(ours, theirs, *drawn, dict.fromkeys(TASKS, "STS"), seed=2)}


@pytest.mark.parametrize(
    ("gains", "noise", "stands"),
    [
        ([1.0, 1.2, 0.8, 1.0], 0.1, "yes"),  # on every task
        ([6.0, -1.0, -1.0, -1.0], 0.1, "these tasks"),  # by one task alone
        ([1.0, 1.2, 0.8, 1.0], 5.0, "no"),  # the items scatter more
        ([-1.0, -1.2, -0.8, -1.0], 0.1, "yes"),
    ],
)
def test_what_stands_is_beyond_the_scatter_of_items_and_of_tasks(gains, noise, stands):
    rows = found(gains, noise)
    assert rows["STS"]["stands"] == rows["Avg"]["stands"] == stands
    assert rows["Avg"]["difference"] == pytest.approx(np.mean(gains))
    assert rows["A"]["low_over_tasks"] is None


def test_the_interval_is_that_of_independent_noise():
    row = found([1.0] * 4, 2.0)["Avg"]
    half = 1.96 * 2.0 * np.sqrt(2) / np.sqrt(4)
    assert (row["low"], row["high"]) == pytest.approx((1 - half, 1 + half), abs=0.3)
