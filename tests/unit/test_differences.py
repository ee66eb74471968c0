"""Which differences between two models are statistically significant."""

import numpy as np
import polars
import pytest

from lib.differences import difference

TASKS = ["A", "B", "C", "D"]


def differences(gains, noise, categories=None):
    """The rows of a difference whose tasks gain so much, each sampled item adding noise of its own."""
    categories = categories or dict.fromkeys(TASKS, "STS")
    random = np.random.default_rng(1)
    theirs = dict.fromkeys(TASKS, 50.0)
    ours = {task: 50.0 + gain for task, gain in zip(TASKS, gains, strict=True)}
    sampled = [
        polars.DataFrame({task: score / 100 + noise * random.normal(size=1000) / 100 for task, score in scores.items()})
        for scores in (ours, theirs)
    ]
    return {row["of"]: row for row in difference(ours, theirs, *sampled, categories, seed=2)}


@pytest.mark.parametrize(
    ("gains", "noise", "significant"),
    [
        ([1.0, 1.2, 0.8, 1.0], 0.1, "over items and tasks"),  # on every task
        ([6.0, -1.0, -1.0, -1.0], 0.1, "over items"),  # by one task alone
        ([1.0, 1.2, 0.8, 1.0], 5.0, "no"),  # the items scatter more
        ([-1.0, -1.2, -0.8, -1.0], 0.1, "over items and tasks"),
    ],
)
def test_what_is_significant_is_beyond_the_scatter_of_items_and_of_tasks(gains, noise, significant):
    rows = differences(gains, noise)
    assert rows["STS"]["significant"] == rows["Avg"]["significant"] == significant
    assert rows["Avg"]["difference"] == pytest.approx(np.mean(gains))
    assert rows["A"]["low_over_tasks"] is None


def test_the_interval_is_that_of_independent_noise():
    row = differences([1.0] * 4, 2.0)["Avg"]
    half = 1.96 * 2.0 * np.sqrt(2) / np.sqrt(4)
    assert (row["low"], row["high"]) == pytest.approx((1 - half, 1 + half), abs=0.3)


@pytest.mark.parametrize(("noise", "significant"), [(0.1, "over items"), (5.0, "no")])
@pytest.mark.parametrize("few", ["CD", "D"])
def test_too_few_tasks_of_a_category_say_nothing_of_others_of_their_kind(few, noise, significant):
    rows = differences([1.0] * 4, noise, dict.fromkeys(TASKS, "STS") | dict.fromkeys(few, "Classification"))
    for of in ["Classification", "Avg"]:
        assert rows[of]["significant"] == significant
        assert rows[of]["low_over_tasks"] is rows[of]["high_over_tasks"] is None


def test_three_tasks_of_a_category_say_something_of_others():
    rows = differences([1.0] * 4, 0.1, dict.fromkeys("ABC", "STS") | {"D": "Classification"})
    assert rows["STS"]["significant"] == "over items and tasks"
