"""The checks of a config that need no Snakemake."""

import copy
import re

import mteb
import pytest
from snakemake.utils import update_config
from workflow import REPOSITORY, changed, tiny_config

from lib.job.command import InputError
from lib.plan.config import check_config, check_used, expand_seeds, read_config, select
from lib.plan.tasks import BENCHMARK, BENCHMARK_TASKS, TYPE_OF
from lib.tasks import mteb_task

OTHER = {"source": "path:teacher", "max_length": 65, "pooling": "cls", "prompt": ""}


def test_the_known_tasks_are_the_benchmarks():
    tasks = [task.metadata for task in mteb.get_benchmark(BENCHMARK).tasks]
    assert {task.name: task.type for task in tasks if task.type in BENCHMARK_TASKS} == TYPE_OF


@pytest.mark.parametrize("name", ["STS31", "ArguAna", "FinancialPhrasebankClassification"])
def test_a_task_that_cannot_be_scored_is_refused(name):
    with pytest.raises(InputError, match=rf"^evaluation\.tasks: '{name}'"):
        mteb_task(name)


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
    assert mteb_task("PoemSentimentClassification").metadata.type == "Classification"


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


@pytest.mark.parametrize(
    "names",
    [
        ["ablation"],
        ["development"],
        ["minilm"],
        ["quickstart"],
        ["card"],
        ["minilm", "development"],
        ["quickstart", "development", "development-packages"],
    ],
    ids="+".join,
)
def test_recipes_define_what_they_choose(names):
    base, *overlays = (
        read_config(REPOSITORY / path) for path in ["config.yaml", *(f"recipes/{n}.yaml" for n in names)]
    )
    config = copy.deepcopy(base)
    for overlay in overlays:
        update_config(config, overlay)
    check_config(config, [base, *overlays], "sources")
    assert config["models"] and set(config["reference"]) <= set(config["evaluation"]["references"])


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"run: a\n\tabout: b\n", 2),
        (b"run: a\nabout b\nteacher: c\n", 3),
        (b"run: a\nabout: \xff\n", 2),
        (b"run: a\ncorpus:\n  seed: 1\n  seed: 2\n", 4),
        (b"run: 'a\n", 2),
        (b"corpus:\n  seed: 0\n  min_words: 010\n", 3),
        (b"run: a\ntraining: {temperature: 1:30}\n", 2),
        (b"run: !!python/object:os.system {}\n", 1),
    ],
)
def test_a_mistake_in_yaml_is_named_by_file_and_line(tmp_path, content, line):
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(InputError, match=rf"mine\.yaml, line {line}: "):
        read_config(tmp_path / "mine.yaml")


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_a_config_nested_too_deeply_is_named(tmp_path, ending):
    (tmp_path / f"deep.{ending}").write_text('{"about": ' + "[" * 2_000)
    with pytest.raises(InputError, match=f"deep.{ending}"):
        read_config(tmp_path / f"deep.{ending}")


def test_json_is_read_with_tabs_and_a_mistake_in_it_named(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{\n\t"run": "mine",\n\t"models": {\n\t\t"a": {"dimensions": 8}\n\t}\n}\n', encoding="utf-8")
    assert read_config(path) == {"run": "mine", "models": {"a": {"dimensions": 8}}}
    path.write_text('{"run": "mine",\n"about" 1}', encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.json, line 2: "):
        read_config(path)
    path.write_text('{"corpus": {"seed": 1, "seed": 2}}', encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.json: .*seed"):
        read_config(path)


@pytest.mark.parametrize("content", ["", "- a\n", "text\n"])
def test_a_config_without_keys_is_named(tmp_path, content):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(InputError, match=r"mine\.yaml: "):
        read_config(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("models.small.sentences", 10**9, r"^corpus\.shard_size: 128"),
        ("models.small.released", "born-again-2", r"^models\.small\.released: 'born-again-2'.*born-again-1"),
        ("teacher.source", "hub:a/b@main", r"^teacher\.source: .*'hub:a/b@main'"),
        ("teacher.source", "path:nowhere", r"^teacher\.source: .*nowhere"),
        ("corpus.source", "path:/dev/zero", r"^corpus\.source: .*/dev/zero"),
        ("corpus.source", ["path:data", "path:/dev/zero"], r"^corpus\.source\[1\]: .*/dev/zero"),
        ("corpus.min_words", 70, r"^corpus\.min_words: .*corpus\.max_words"),
        ("evaluation.tasks", ["STS12", "Topic"], r"^evaluation\.tasks: 'Topic'.*Topics"),
        ("models.small.sentences", 34, r"^models\.small: .*32.*31.*34"),
        ("models.b", {"from": "small", "clusters": 300}, r"^models\.b\.clusters: 300.*300"),
        ("models.b", {"from": "smal", "clusters": 9}, r"^models\.b\.from: 'smal'.*small"),
        ("models.small", {"from": "small", "clusters": 9}, r"small\.from: .*small"),
        ("models.b", {"from": "small"}, r"^models\.b: .*dimensions.*clusters"),
        ("models.b", {"from": "small", "dimensions": 8, "training": {"epochs": 3}}, r"^models\.b\.training: "),
        (
            "models.b",
            {"from": "small", "clusters": 9, "training": {"shrinkage": 1}},
            r"^models\.b\.training\.shrinkage",
        ),
        ("models.b", {"from": "small", "dimensions": 16}, r"^models\.b\.dimensions: 16.*16.*small"),
        ("teacher.max_length", 65, r"^teacher\.max_length: 65.*64"),
        ("teacher.others", [OTHER | {"source": "path:nowhere"}], r"^teacher\.others\[0\]\.source: .*nowhere"),
        ("teacher.others", [OTHER], r"^teacher\.others\[0\]\.max_length: 65.*64"),
        ("corpus.language", "xx", r"^corpus\.language: 'xx'"),
        ("corpus.source", "path:{x}", r"^corpus\.source: .*\{x\}"),
        ("evaluation.custom_tasks.Pairs.type", "PairClassification", r"^evaluation\.custom_tasks\.Pairs: "),
        ("baselines", {"SMALL": "path:."}, r"SMALL"),
        ("evaluation.tasks", ["Topics", "topics"], r"^evaluation\.tasks: .*'topics'"),
        ("evaluation.custom_tasks.Topics.type", "STS", r"score.*'text', 'label', 'split'"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_any_job(
    tmp_path, teacher_folder, monkeypatch, path, value, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "{x}").touch()
    (tmp_path / "teacher").symlink_to(teacher_folder)
    overlay = changed(tiny_config(tmp_path / "data", teacher_folder), path, value)
    overlay["build"] = ["small", *(["b"] if path == "models.b" else [])]
    overlay["evaluation"]["baselines"] = list(overlay["baselines"])
    check_refused(overlay, words)


@pytest.mark.parametrize("name", ["{x}.txt", "\udcff.txt"])
def test_a_file_of_a_source_with_a_name_that_snakemake_cannot_hold_is_refused(tmp_path, teacher_folder, name):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / name).touch()
    overlay = changed(tiny_config(tmp_path / "data", teacher_folder), "corpus.source", f"path:{tmp_path}/texts")
    check_refused(overlay, rf"^corpus\.source: .*texts/{re.escape(repr(name)[1:-1])}")


def check_refused(overlay, words):
    """Lay an overlay over config.yaml, which has to be refused with some words."""
    base = read_config(REPOSITORY / "config.yaml")
    config = copy.deepcopy(base)
    update_config(config, overlay)
    with pytest.raises(InputError, match=words):
        check_config(config, [base, overlay], "sources")


def test_a_training_in_context_is_refused_where_embeddings_are_no_means(tmp_path, teacher_folder):
    overlay = tiny_config(tmp_path / "data", teacher_folder)
    overlay["teacher"]["pooling"] = "cls"
    overlay["training"] = overlay.get("training", {}) | {"initial": "contextual"}
    check_refused(overlay, r"^models\.small: .*contextual.*cls.*aligned")


def test_several_teachers_are_refused_with_a_loss_that_knows_one(tmp_path, teacher_folder):
    overlay = tiny_config(tmp_path / "data", teacher_folder)
    overlay["teacher"]["others"] = [OTHER | {"source": f"path:{teacher_folder}", "max_length": 64}]
    overlay["models"]["small"]["training"] = {"loss": "contrastive"}
    check_refused(overlay, r"^models\.small: .*contrastive.*cosine.*teacher\.others")
