"""The checks of a config that need no Snakemake."""

import copy
import math
import re

import mteb
import pytest
import yaml
from snakemake.utils import update_config
from workflow import REPOSITORY, changed, tiny_config

from lib.job.command import InputError
from lib.plan.config import check_meaning, check_schema, check_tasks, check_used, expand_seeds, select
from lib.plan.tasks import BENCHMARK, BENCHMARK_TASKS, TYPE_OF


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
    with pytest.raises(InputError, match=r"models\.a-seed5"):
        expand_seeds(models | {"a": {"seeds": [5, 6]}})


def test_a_task_of_mteb_beyond_the_benchmark_is_known():
    check_tasks(["STS12", "PoemSentimentClassification", "STS12-dev"])


BASE = {
    "models": {"ours": {"dimensions": 2}, "other": {"dimensions": 4}, "small": {"from": "other", "dimensions": 2}},
    "build": ["other", "small"],
    "baselines": {"peer": "path:peer", "teacher": "path:teacher"},
    "reference": {"ours": {"Avg": 1.0}, "other": {"Avg": 2.0}},
    "evaluation": {"tasks": ["STS12"], "baselines": ["peer"], "references": ["other"]},
}


def laid_over(*overlays):
    """What is chosen of ``BASE`` and what is laid over it."""
    config = copy.deepcopy(BASE)
    check_used([BASE, *overlays])
    for overlay in overlays:
        update_config(config, copy.deepcopy(overlay))
    select(config)
    return config


@pytest.mark.parametrize(
    ("overlay", "models", "baselines", "reference"),
    [
        ({}, ["other", "small"], ["peer"], ["other"]),
        ({"build": ["ours", "other"]}, ["ours", "other"], ["peer"], ["other"]),
        ({"models": {"mine": {"dimensions": 9}}, "build": ["mine"]}, ["mine"], ["peer"], ["other"]),
        ({"models": {"other": {"born_again": 2}}}, ["other", "small"], ["peer"], ["other"]),
        ({"evaluation": {"baselines": [], "references": []}}, ["other", "small"], [], []),
        ({"baselines": {"peer": "path:else"}}, ["other", "small"], ["peer"], ["other"]),
        (
            {"baselines": {"mine": "path:mine"}, "evaluation": {"baselines": ["mine", "teacher"]}},
            ["other", "small"],
            ["mine", "teacher"],
            ["other"],
        ),
    ],
)
def test_mappings_of_an_overlay_are_merged_and_its_lists_choose(overlay, models, baselines, reference):
    config = laid_over(overlay)
    assert [list(config[kind]) for kind in ("models", "baselines", "reference")] == [models, baselines, reference]
    assert config["evaluation"]["tasks"] == ["STS12"]
    if "other" in models:
        assert config["models"]["other"]["dimensions"] == 4


def test_an_overlay_over_another_has_its_own_model_alone():
    quickstart = {"models": {"quick": {"dimensions": 8}}, "build": ["quick"]}
    assert list(laid_over(quickstart, {"models": {"mine": {}}, "build": ["mine"]})["models"]) == ["mine"]
    assert list(laid_over(quickstart, {"build": ["quick", "ours"]})["models"]) == ["quick", "ours"]


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        ({"models": {"mine": {"dimensions": 2}}}, r"^models\.mine: .*build"),
        ({"models": {"ours": {"born_again": 1}}}, r"^models\.ours: .*build"),
        ({"baselines": {"mine": "path:mine"}}, r"^baselines\.mine: .*evaluation\.baselines"),
        ({"reference": {"mine": {}}}, r"^reference\.mine: .*evaluation\.references"),
        ({"build": ["mine"]}, r"^build: 'mine', .*ours, other, small"),
        ({"evaluation": {"baselines": ["per"]}}, r"^evaluation\.baselines: 'per', .*peer"),
        ({"build": ["small"]}, r"^build: small .*other"),
    ],
)
def test_a_definition_that_is_not_chosen_or_a_name_that_is_not_defined_is_refused(overlay, words):
    with pytest.raises(InputError, match=words):
        laid_over(overlay)
    with pytest.raises(InputError, match=words):
        laid_over({"training": {}}, overlay)


@pytest.mark.parametrize("overlay", [{"models": {"mine": None}, "build": ["mine"]}, {"models": None}, {"build": None}])
def test_an_empty_body_is_refused(overlay):
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    update_config(config, overlay)
    with pytest.raises(InputError, match=rf"^{'models.mine' if 'mine' in str(overlay) else next(iter(overlay))}: None"):
        check_schema(config, REPOSITORY / "schemas" / "config.schema.yaml")


@pytest.mark.parametrize("name", ["ablation", "development", "minilm", "quickstart", "card"])
def test_recipes_define_what_they_choose(name):
    base, overlay = (
        yaml.safe_load((REPOSITORY / path).read_text()) for path in ["config.yaml", f"recipes/{name}.yaml"]
    )
    check_used([base, overlay])
    update_config(base, overlay)
    check_schema(base, REPOSITORY / "schemas" / "config.schema.yaml")
    select(base)
    assert base["models"] and set(base["reference"]) <= set(base["evaluation"]["references"])


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
        ("run", "sources", r"^run: 'sources'"),
        ("run", "README.md", r"^run: 'README\.md'"),
        ("run", "line\n", r"^run: 'line\\n'"),
        ("corpus.source", [5], r"^corpus\.source"),
        ("evaluation.seed", -1, r"^evaluation\.seed: -1"),
        ("models.potion-mxbai-256d-v2.seeds", [1], r"^models\.potion-mxbai-256d-v2"),
        ("models.potion-mxbai-micro.seeds", [1, 2], r"^models\.potion-mxbai-micro"),
        ("evaluation", ["a"], r"^evaluation: \['a'\]"),
    ],
)
def test_a_value_that_would_fail_later_is_refused_by_the_schema(path, value, words):
    config = changed(yaml.safe_load((REPOSITORY / "config.yaml").read_text()), path, value)
    with pytest.raises(InputError, match=words):
        check_schema(config, REPOSITORY / "schemas" / "config.schema.yaml")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("models.small.sentences", 34, r"^models\.small: .*32.*31.*34"),
        ("models.b", {"from": "small", "clusters": 300}, r"^models\.b\.clusters: 300.*300"),
        ("models.b", {"from": "smal", "clusters": 9}, r"^models\.b\.from: 'smal'.*small"),
        ("models.small", {"from": "small", "clusters": 9}, r"small\.from: .*small"),
        ("models.b", {"from": "small"}, r"^models\.b: .*dimensions.*clusters"),
        ("models.b", {"from": "small", "dimensions": 8, "training": {"epochs": 3}}, r"^models\.b\.training: "),
        ("models.b", {"from": "small", "dimensions": 16}, r"^models\.b\.dimensions: 16.*16.*small"),
        ("teacher.max_length", 65, r"^teacher\.max_length: 65.*64"),
        ("corpus.language", "xx", r"^corpus\.language: 'xx'"),
        ("corpus.source", "path:{x}", r"^corpus\.source.*\{x\}"),
        ("evaluation.custom_tasks.Pairs.type", "PairClassification", r"^evaluation\.custom_tasks\.Pairs: "),
        ("evaluation.custom_tasks.Topics.type", "STS", r"score.*'text', 'label', 'split'"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_any_job(
    tmp_path, teacher_folder, monkeypatch, path, value, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "{x}").touch()
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    update_config(config, changed(tiny_config(tmp_path / "data", teacher_folder), path, value))
    config["build"] = ["small", *(["b"] if path == "models.b" else [])]
    select(config)
    with pytest.raises(InputError, match=words):
        check_meaning(config, "sources")
