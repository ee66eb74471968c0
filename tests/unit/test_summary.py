"""The summary, the plots and the release made from results."""

import csv
import json
from xml.etree import ElementTree

import pytest
from helpers import distilled, write_shard
from model2vec import StaticModel

import plots
import quantize
import release
import summary
from lib.command import InputError

SCORES = {
    ("m", "distilled"): {"SickA": 0.5, "SickB": 0.7, "Topics": 0.4, "Pairs": 0.9},
    ("m", "int8"): {"SickA": 0.6, "SickB": 0.8, "Topics": 0.5, "Pairs": 0.8},
    ("other", "baseline"): {"SickA": 0.1, "SickB": 0.3, "Topics": 0.5, "Pairs": 0.2},
}
TYPES = {"SickA": "STS", "SickB": "STS", "Topics": "Classification", "Pairs": "PairClassification"}
SETTINGS = {
    "run": "made",
    "about": "About <this> run.",
    "baselines": ["other"],
    "custom_tasks": {name: {"type": kind, "description": f"what {name} is"} for name, kind in TYPES.items()},
    "finals": {"m": "int8"},
    "reference": {"m": {"Avg": [60.0, 61.5]}, "absent": {"STS": 70.0}},
    "reference_about": "Numbers of a card.",
}


def write_results(root):
    paths = []
    for (model, stage), scores in SCORES.items():
        for task, value in scores.items():
            path = root / model / stage / f"{task}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            result = {"main_score": value, "hf_subset": "default"}
            content = {"task_name": task, "scores": {"test": [result]}, "evaluation_time": 1.5}
            path.write_text(json.dumps(content | {"mteb_version": "2", "dataset_revision": "r"}))
            paths.append(path)
    return paths


@pytest.fixture
def made(tmp_path):
    """A folder with results and their summary."""
    weights = tmp_path / "models" / "m" / "int8" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"x" * 7_500_000)
    command = ["--results", *write_results(tmp_path / "mteb"), "--models", weights.parent]
    command += ["--settings", json.dumps(SETTINGS)]
    for kind in ["csv", "json", "markdown", "html"]:
        command += [f"--{kind}", tmp_path / f"summary.{kind}"]
    summary.main([str(part) for part in command])
    return tmp_path


def test_averages_are_means_of_category_means(made):
    first, second, third = json.loads((made / "summary.json").read_text())["averages"]
    assert (first["STS"], first["Classification"], first["PairClassification"]) == pytest.approx((60, 40, 90))
    assert first["Avg"] == pytest.approx((60 + 40 + 90) / 3)
    assert second["Avg"] == pytest.approx((70 + 50 + 80) / 3)
    assert third["Avg"] == pytest.approx((20 + 50 + 20) / 3)


def test_every_number_is_a_result(made):
    with (made / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = {(row["model"], row["stage"], row["task"]): float(row["score"]) for row in rows}
    assert found == pytest.approx({(*key, task): 100 * v for key, s in SCORES.items() for task, v in s.items()})


def test_markdown_shows_scores_sizes_and_the_reference(made):
    text = (made / "summary.markdown").read_text()
    assert "| m | int8 | 70.00 | 50.00 | 80.00 | 66.67 | 7.5 |" in text
    assert "| other | baseline | 20.00 | 50.00 | 20.00 | 30.00 | – |" in text
    assert "| m | Avg | 60.00 | 66.67 | +6.67 |" in text
    assert "| m | Avg | 61.50 | 66.67 | +5.17 |" in text
    assert "| absent | STS | 70.00 | not run | not run |" in text
    assert "Topics (Classification, no part of MTEB): what Topics is." in text


def test_html_is_escaped_and_has_the_same_cells(made):
    text = (made / "summary.html").read_text()
    assert "About &lt;this&gt; run." in text
    assert "<td>66.67</td>" in text


def test_a_result_under_another_name_is_refused(tmp_path):
    path = write_results(tmp_path)[0]
    moved = path.rename(path.with_name("Topics.json"))
    with pytest.raises(InputError, match="expected a result of Topics, found one of SickA"):
        summary.read_result(moved, TYPES)


def test_a_file_that_is_no_result_is_refused(tmp_path):
    path = tmp_path / "m" / "int8" / "Topics.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"task_name": "Topics"}')
    with pytest.raises(InputError, match=r"Topics\.json: expected a result of mteb"):
        summary.read_result(path, TYPES)


def test_plots_are_svg_and_the_same_each_time(made):
    training = made / "models" / "m" / "pretrained"
    training.mkdir()
    curve = [{"epoch": i, "train_loss": 2 / i if i else None, "validation_loss": 3 / (i + 1)} for i in range(3)]
    (training / "training.json").write_text(json.dumps({"curve": curve}))
    names = ["stages", "size", "loss"]
    for folder in ["one", "two"]:
        command = ["--summary", made / "summary.json", "--trainings", training]
        for name in names:
            command += [f"--{name}", made / folder / f"{name}.svg"]
        plots.main([str(part) for part in command])
    for name in names:
        first, second = ((made / folder / f"{name}.svg").read_bytes() for folder in ["one", "two"])
        assert first == second
        assert ElementTree.fromstring(first).tag.endswith("svg")


def test_a_release_loads_and_its_card_has_the_numbers(made, teacher_folder, sentences):
    model = distilled(teacher_folder, made / "final")
    shard = write_shard(made / "00000.parquet", sentences)
    quantize.main(["--model", str(model), "--sentences", str(shard), "--output", str(made / "int8")])
    settings = {
        "about": "",
        "baselines": ["other"],
        "born_again": 1,
        "corpus": ["path:texts"],
        "dimensions": 16,
        "license": "mit",
        "seed": 42,
        "sentences": 400,
        "teacher": "path:teacher",
    }
    command = ["--name", "m", "--model", model, "--int8", made / "int8", "--summary", made / "summary.json"]
    command += ["--settings", json.dumps(settings), "--output", made / "release"]
    release.main([str(part) for part in command])
    card = (made / "release" / "README.md").read_text()
    assert "| m | int8 | 70.00 | 50.00 | 80.00 | 66.67 |" in card
    assert card.startswith("---\nlibrary_name: model2vec\nlicense: mit\n")
    for folder in [made / "release", made / "release" / "int8"]:
        loaded = StaticModel.from_pretrained(folder, force_download=False)
        assert loaded.encode(["the old boat"]).shape == (1, 16)
