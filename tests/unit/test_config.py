"""The checks of a config that need no Snakemake."""

import copy
import math
import re

import mteb
import pytest
import yaml
from snakemake.utils import update_config
from workflow import REPOSITORY

from lib.benchmark import BENCHMARK, BENCHMARK_TASKS, TYPE_OF
from lib.command import InputError
from lib.config import check_schema, check_tasks, lay_over


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


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((f"training.{key}", 32.0) for key in ["batch_size", "epochs", "patience", "seed"]),
        *((f"models.potion-mxbai-micro.{key}", 64.0) for key in ["dimensions", "sentences", "clusters", "born_again"]),
        ("corpus.shard_size", 1024.0),
        ("corpus.seed", True),
        ("training.temperature", math.nan),
        ("training.temperature", math.inf),
        ("training.similarity_weight", math.inf),
    ],
)
def test_a_number_that_a_script_would_refuse_late_is_refused_at_once(path, value):
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    *parents, last = path.split(".")
    section = config
    for name in parents:
        section = section[name]
    section[last] = value
    with pytest.raises(InputError, match=rf"^{re.escape(path)}: {value} is not"):
        check_schema(config, REPOSITORY / "schemas" / "config.schema.yaml")
