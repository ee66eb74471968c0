"""The checks of a config that need no Snakemake."""

import copy

import mteb
import pytest
from snakemake.utils import update_config

from lib.benchmark import BENCHMARK, BENCHMARK_TASKS, TYPE_OF
from lib.command import InputError
from lib.config import check_tasks, lay_over


def test_the_known_tasks_are_the_benchmarks():
    tasks = [task.metadata for task in mteb.get_benchmark(BENCHMARK).tasks]
    assert {task.name: task.type for task in tasks if task.type in BENCHMARK_TASKS} == TYPE_OF


@pytest.mark.parametrize("name", ["STS31", "ArguAna"])
def test_a_task_that_cannot_be_scored_is_refused(name):
    with pytest.raises(InputError, match=rf"^evaluation\.tasks: '{name}'"):
        check_tasks(["STS12", name])


def test_a_task_of_mteb_beyond_the_benchmark_is_known():
    check_tasks(["STS12", "FinancialPhrasebankClassification"])


BASE = {
    "models": {"ours": {"dimensions": 2}, "other": {"dimensions": 4}},
    "reference": {"ours": {"Avg": 1.0}},
    "evaluation": {"tasks": ["STS12"], "baselines": {"peer": "path:peer"}},
}


@pytest.mark.parametrize(
    ("overlay", "models", "reference", "baselines"),
    [
        ({}, {"ours", "other"}, {"ours"}, {"peer"}),
        ({"models": {"mine": {}}, "reference": {}}, {"mine"}, set(), {"peer"}),
        ({"models": {"ours": None}}, {"other"}, {"ours"}, {"peer"}),
        ({"models": {"ours": None, "mine": {}}}, {"other", "mine"}, {"ours"}, {"peer"}),
        ({"models": {"ours": {"born_again": 2}}}, {"ours"}, {"ours"}, {"peer"}),
        ({"models": {"ours": {}, "mine": {}}}, {"ours", "mine"}, {"ours"}, {"peer"}),
        ({"evaluation": {"baselines": {"peer": "path:else"}}}, {"ours", "other"}, {"ours"}, {"peer"}),
        ({"evaluation": {"baselines": {}}}, {"ours", "other"}, {"ours"}, set()),
        ({"evaluation": {"baselines": {"mine": "path:mine"}}}, {"ours", "other"}, {"ours"}, {"mine"}),
    ],
)
def test_an_overlays_entries_stand_in_place_of_ours_and_null_leaves_one_out(overlay, models, reference, baselines):
    config = copy.deepcopy(BASE)
    update_config(config, copy.deepcopy(overlay))
    lay_over(config, overlay)
    assert set(config["models"]) == models
    assert set(config["reference"]) == reference
    assert set(config["evaluation"]["baselines"]) == baselines
    assert config["evaluation"]["tasks"] == ["STS12"]
    if "ours" in models:
        assert config["models"]["ours"]["dimensions"] == 2
