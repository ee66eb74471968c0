"""The checks of a config that need no Snakemake."""

import copy
import math
import re

import mteb
import pytest
import yaml
from snakemake.utils import update_config
from workflow import REPOSITORY, changed, tiny_config

from lib.benchmark import BENCHMARK, BENCHMARK_TASKS, TYPE_OF
from lib.command import InputError
from lib.config import check_meaning, check_schema, check_tasks, expand_seeds, lay_over


def test_the_known_tasks_are_the_benchmarks():
    tasks = [task.metadata for task in mteb.get_benchmark(BENCHMARK).tasks]
    assert {task.name: task.type for task in tasks if task.type in BENCHMARK_TASKS} == TYPE_OF


@pytest.mark.parametrize("name", ["STS31", "ArguAna", "FinancialPhrasebankClassification"])
def test_a_task_that_cannot_be_scored_is_refused(name):
    with pytest.raises(InputError, match=rf"^evaluation\.tasks: '{name}'"):
        check_tasks(["STS12", name])


def test_a_model_of_several_seeds_is_a_model_for_each():
    models = {"a": {"dimensions": 8, "seeds": [1, 5], "training": {"epochs": 2}}, "b": {"dimensions": 8}}
    assert expand_seeds(models) == {"a": ["a-seed1", "a-seed5"]}
    assert models == {
        "b": {"dimensions": 8},
        "a-seed1": {"dimensions": 8, "training": {"epochs": 2, "seed": 1}},
        "a-seed5": {"dimensions": 8, "training": {"epochs": 2, "seed": 5}},
    }
    with pytest.raises(InputError, match=r"models\.a-seed5: there already"):
        expand_seeds(models | {"a": {"seeds": [5, 6]}})


def test_a_task_of_mteb_beyond_the_benchmark_is_known():
    check_tasks(["STS12", "PoemSentimentClassification", "STS12-dev"])


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
        *((f"models.potion-mxbai-256d-v2.{key}", 64.0) for key in ["dimensions", "sentences", "born_again"]),
        *((f"models.potion-mxbai-micro.{key}", 64.0) for key in ["dimensions", "clusters"]),
        ("corpus.shard_size", 1024.0),
        ("corpus.seed", True),
        ("training.temperature", math.nan),
        ("training.temperature", math.inf),
        ("training.similarity_weight", math.inf),
    ],
)
def test_a_number_that_a_script_would_refuse_late_is_refused_at_once(path, value):
    config = changed(yaml.safe_load((REPOSITORY / "config.yaml").read_text()), path, value)
    with pytest.raises(InputError, match=rf"^{re.escape(path)}: {value} is not"):
        check_schema(config, REPOSITORY / "schemas" / "config.schema.yaml")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("run", "sources", "run: 'sources' should not be valid"),
        ("run", "README.md", "run: 'README.md' should not be valid"),
        ("run", "line\n", "run: 'line\\n' does not match"),
        ("corpus.source", [5], "corpus.source"),
        ("evaluation.seed", -1, "evaluation.seed: -1 is less than the minimum of 0"),
        ("models.potion-mxbai-256d-v2.seeds", [1], "models.potion-mxbai-256d-v2"),
        ("models.potion-mxbai-micro.seeds", [1, 2], "models.potion-mxbai-micro"),
        ("evaluation", ["a"], "evaluation: ['a'] is not of type 'object'"),
    ],
)
def test_a_value_that_would_fail_later_is_refused_by_the_schema(path, value, words):
    config = changed(yaml.safe_load((REPOSITORY / "config.yaml").read_text()), path, value)
    with pytest.raises(InputError, match=re.escape(words)):
        check_schema(config, REPOSITORY / "schemas" / "config.schema.yaml")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("models.small.sentences", 34, "models.small: a batch_size of 32, expected at most the 31 of its 34 sentences"),
        ("models.b", {"from": "small", "clusters": 300}, "models.b.clusters: 300, expected fewer than the 300 tokens"),
        ("models.b", {"from": "smal", "clusters": 9}, "models.b.from: 'smal', expected one of small, b"),
        (
            "models.small",
            {"from": "small", "clusters": 9},
            "small.from: expected a trained model in the end, found small",
        ),
        ("models.b", {"from": "small"}, "models.b: comes from small, expected dimensions or clusters, found neither"),
        (
            "models.b",
            {"from": "small", "dimensions": 8, "training": {"epochs": 3}},
            "models.b.training: expected none, for without clusters nothing is trained",
        ),
        ("models.b", {"from": "small", "dimensions": 16}, "b.dimensions: 16, expected fewer than the 16 of small"),
        ("teacher.max_length", 65, "teacher.max_length: 65, expected at most the teacher's 64 positions"),
        ("corpus.language", "xx", "corpus.language: 'xx', expected one of"),
        ("corpus.source", "path:{x}", "expected a path without"),
        ("evaluation.custom_tasks.Pairs.type", "PairClassification", "evaluation.custom_tasks.Pairs: "),
        ("evaluation.custom_tasks.Topics.type", "STS", "found no score in ['text', 'label', 'split']"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_any_job(
    tmp_path, teacher_folder, monkeypatch, path, value, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "{x}").touch()
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    update_config(config, changed(tiny_config(tmp_path / "data", teacher_folder), path, value))
    lay_over(
        config, {"models": {"small": {}} | ({"b": {}} if path == "models.b" else {}), "evaluation": {"baselines": {}}}
    )
    with pytest.raises(InputError, match=re.escape(words)):
        check_meaning(config, "sources")
