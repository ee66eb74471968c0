"""Scoring by mteb."""

import json

import numpy as np
import polars
import pytest
from conftest import TOPICS, made_sentences
from datasets import Dataset, DatasetDict
from helpers import distilled
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer
from torch.utils.data import DataLoader

import evaluate
from lib.command import InputError
from lib.static_model import load_static_model
from lib.tasks import mteb_task, read_data, write_data


@pytest.fixture(scope="module")
def model_folder(teacher_folder, tmp_path_factory):
    return distilled(teacher_folder, tmp_path_factory.mktemp("model") / "distilled")


def pairs(folder, scores):
    (folder / "default").mkdir(parents=True)
    texts = [text for text, _ in made_sentences(2 * len(scores))]
    rows = {"sentence1": texts[: len(scores)], "sentence2": texts[len(scores) :], "score": scores}
    polars.DataFrame(rows).write_parquet(folder / "default" / "test.parquet")
    return rows


def score(model_folder, task_data, task_type, output):
    command = ["--model", model_folder, "--name", "m", "--revision", "distilled", "--task", "Made"]
    command += ["--task-data", task_data, "--task-type", task_type, "--output", output]
    evaluate.main([str(part) for part in command])
    content = json.loads(output.read_text())
    assert content["task_name"] == "Made"
    (result,) = content["scores"]["test"]
    return result["main_score"]


def test_sts_is_the_spearman_correlation_of_cosines(model_folder, tmp_path):
    rows = pairs(tmp_path / "task", [float(i % 7) for i in range(40)])
    found = score(model_folder, tmp_path / "task", "STS", tmp_path / "result.json")
    model = load_static_model(model_folder)
    cosines = (model.encode(rows["sentence1"]) * model.encode(rows["sentence2"])).sum(axis=1)
    assert found == pytest.approx(spearmanr(cosines, rows["score"])[0], abs=1e-4)


def test_classification_learns_from_the_train_split_and_repeats(model_folder, tmp_path):
    folder = tmp_path / "task"
    (folder / "default").mkdir(parents=True)
    names = list(TOPICS)
    rows = [{"text": text, "label": names.index(topic)} for text, topic in made_sentences(160)]
    polars.DataFrame(rows[::2]).write_parquet(folder / "default" / "train.parquet")
    polars.DataFrame(rows[1::2]).write_parquet(folder / "default" / "test.parquet")
    first = score(model_folder, folder, "Classification", tmp_path / "first.json")
    assert first > 0.6  # chance is one in three
    assert score(model_folder, folder, "Classification", tmp_path / "second.json") == first


def test_equal_ratings_give_no_score(model_folder, tmp_path):
    pairs(tmp_path / "task", [3.0] * 10)
    with pytest.raises(InputError, match="task Made: expected a score, found nan"):
        score(model_folder, tmp_path / "task", "STS", tmp_path / "result.json")
    assert not (tmp_path / "result.json").exists()


def test_a_repeated_text_is_embedded_once_and_answered_everywhere():
    asked = []

    def embed(texts):
        asked.extend(texts)
        return np.array([[len(text), 1.0] for text in texts])

    texts = ["aa", "b", "aa", "cccc", "b"]
    loader = DataLoader([{"text": text} for text in texts], batch_size=2)
    assert evaluate.Encoder(embed, "m", "r").encode(loader)[:, 0].tolist() == [2, 1, 2, 4, 1]
    assert sorted(asked) == ["aa", "b", "cccc"]


def test_a_transformer_is_loaded_by_sentence_transformers(teacher_folder):
    vectors = evaluate.load_embedder(teacher_folder, "cpu")(["the old boat", "a quiet farm"])
    assert vectors.shape == (2, 32)


def test_a_transformers_progress_is_ours_and_its_vectors_are_in_the_texts_order(
    teacher_folder, sentences, monkeypatch, capfd
):
    monkeypatch.setattr(evaluate, "TEXTS_AT_ONCE", 128)
    vectors = evaluate.load_embedder(teacher_folder, "cpu")(sentences)
    assert "400 texts in " in capfd.readouterr().err
    expected = SentenceTransformer(str(teacher_folder), device="cpu").encode(sentences, batch_size=64)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_a_transformer_leaves_no_bars_in_a_log(teacher_folder, sentences, capfd):
    evaluate.load_embedder(teacher_folder, "cpu")(sentences)
    assert "\r" not in capfd.readouterr().err


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be loaded"):
        evaluate.load_embedder(tmp_path, "cpu")


def test_data_is_read_back_with_columns_that_are_lists(tmp_path):
    task = mteb_task("MTOPDomainClassification")
    splits = {name: Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, 1]}) for name in ["train", "test"]}
    task.dataset = {"en": DatasetDict(splits | {"validation": splits["test"]})}
    write_data(task, tmp_path / "task")
    found = read_data(tmp_path / "task")
    assert list(found) == ["en"] and sorted(found["en"]) == ["test", "train"]
    assert type(found["en"]["test"]["text"]) is list
    assert found["en"]["test"]["text"] == ["a", "b", "c"]
    assert found["en"]["train"].select([2, 1])["label"][:] == [1, 0]
    (tmp_path / "task" / "en" / "test.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"test\.parquet: expected a whole parquet file"):
        read_data(tmp_path / "task")


def test_tasks_of_mteb_are_found_and_others_refused():
    assert mteb_task("STS17").hf_subsets == ["en-en"]
    assert mteb_task("STSBenchmark").eval_splits == ["test"]
    with pytest.raises(InputError, match="'STS31': expected a custom task or one of mteb's"):
        mteb_task("STS31")
    with pytest.raises(InputError, match="of type Retrieval"):
        mteb_task("NFCorpus")
