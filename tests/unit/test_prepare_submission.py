"""What is handed to mteb's leaderboard."""

import json

import mteb
import pytest
from mteb.models import ModelMeta

import prepare_submission
from lib.job.command import InputError
from lib.scoring import meta_of


@pytest.fixture
def run_folder(tmp_path):
    """A run with scores of two models on a task of mteb and on another, one of them published."""
    for model, score in [("m", 0.5), ("other", 0.25)]:
        folder = tmp_path / "mteb" / model / "int8"
        folder.mkdir(parents=True)
        (folder / "model_meta.json").write_text(json.dumps(meta_of(model, "int8").model_dump(mode="json")))
        for task in ["STS12", "Mine"]:
            scores = {"test": [{"main_score": score, "hf_subset": "default", "languages": ["eng-Latn"]}]}
            result = {"task_name": task, "scores": scores, "dataset_revision": "r", "mteb_version": "2"}
            (folder / f"{task}.json").write_text(
                json.dumps(result | {"evaluation_time": 1.0, "kg_co2_emissions": None})
            )
    published = {"made_by": "c" * 40, "models": {"m": {"repository": "me/m", "commit": "a" * 40}}}
    (tmp_path / "published.json").write_text(json.dumps(published))
    return tmp_path


def submission(run_folder, *tasks):
    command = ["--published", run_folder / "published.json", "--results", run_folder / "mteb", "--tasks", *tasks]
    prepare_submission.main([str(part) for part in [*command, "--output", run_folder / "submission"]])
    return mteb.ResultCache(run_folder / "submission")


def test_mteb_finds_the_scores_under_the_name_and_commit_on_the_hub(run_folder):
    cache = submission(run_folder, "STS12")
    (model,) = cache.load_results(models=["me/m"]).model_results
    assert (model.model_name, model.model_revision) == ("me/m", "a" * 40)
    assert {result.task_name: result.get_score() for result in model.task_results} == {"STS12": 0.5}
    (path,) = (run_folder / "submission" / "results").rglob("model_meta.json")
    assert ModelMeta(**json.loads(path.read_text(encoding="utf-8"))).name == "me/m"


def test_without_a_task_of_mteb_there_is_nothing_to_submit(run_folder):
    with pytest.raises(InputError, match=r"evaluation\.tasks"):
        submission(run_folder)
