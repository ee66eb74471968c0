"""The bootstrap of a score over items."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from lib import resample

RANDOM = np.random.default_rng(7)
VALUES = np.round(RANDOM.normal(size=60), 1)  # with ties
RATINGS = RANDOM.integers(6, size=60)
LABELS = RANDOM.integers(2, size=60)
STATISTICS = {
    "Spearman": (resample.spearman(VALUES, RATINGS), lambda i: spearmanr(VALUES[i], RATINGS[i])[0]),
    "precision": (
        resample.average_precision(VALUES, LABELS),
        lambda i: average_precision_score(LABELS[i], VALUES[i]),
    ),
    "mean": (resample.mean(VALUES), lambda i: VALUES[i].mean()),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_a_statistic_of_drawn_items_is_the_librarys_of_the_repeated_items(name):
    ours, librarys = STATISTICS[name]
    for drawn in [np.ones(60, int), *RANDOM.multinomial(60, np.full(60, 1 / 60), size=20)]:
        assert ours(drawn) == pytest.approx(librarys(np.repeat(np.arange(60), drawn)), abs=1e-12)


def test_the_spread_is_that_of_the_mean_and_the_seed_decides_it():
    values = RANDOM.normal(size=400)
    found = resample.resampled(resample.mean(values), 400, seed=1)
    assert found.mean() == pytest.approx(values.mean(), abs=0.01)
    assert found.std() == pytest.approx(values.std() / 20, rel=0.1)
    assert (resample.resampled(resample.mean(values), 400, seed=1) == found).all()
    assert not (resample.resampled(resample.mean(values), 400, seed=2) == found).any()


def test_a_draw_without_a_value_has_that_of_all_items():
    found = resample.resampled(resample.average_precision(np.array([1.0, 0.0]), np.array([1, 0])), 2, seed=0)
    assert np.isfinite(found).all()
