"""Scoring by mteb."""

import json
import re
import shutil
import tracemalloc

import mteb
import numpy as np
import polars
import pytest
import torch
from datasets import Dataset, DatasetDict
from helpers import distilled, write_task
from safetensors.torch import save_file
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer
from torch.utils.data import DataLoader

import compare_runs
import evaluate
import prepare_task
from lib import embedder
from lib.job.command import InputError
from lib.job.files import HASHES, write_json
from lib.plan.tasks import BENCHMARK
from lib.results import read_results
from lib.scoring import Encoder
from lib.static_model import load_static_model
from lib.task_data import read_splits
from lib.tasks import mteb_task, read_data, write_data
from synthetic import TOPICS, synthetic_sentences


@pytest.fixture(scope="module")
def model_folder(teacher_folder, tmp_path_factory):
    return distilled(teacher_folder, tmp_path_factory.mktemp("model") / "distilled")


def pairs(path, scores):
    texts = [text for text, _ in synthetic_sentences(2 * len(scores))]
    rows = {"sentence1": texts[: len(scores)], "sentence2": texts[len(scores) :], "score": scores}
    write_task(path, test=rows)
    return rows


def scores(model_folder, output, custom, *tasks, cache=None, code=()):
    """Evaluate a model and return the main score of each task."""
    command = ["--model", model_folder, "--name", "m", "--revision", "distilled", "--tasks", *tasks]
    command += ["--custom", json.dumps(custom), "--cache", cache or output / "cache", "--output", output]
    command += ["--code", *code, "--seed", 42, "--resampled", output.with_suffix(".parquet")]
    evaluate.main([str(part) for part in command])
    meta = json.loads((output / "model_meta.json").read_text(encoding="utf-8"))
    assert (meta["name"], meta["revision"]) == ("m", "distilled")
    found = {}
    for path in (output / f"{task.stem}.json" for task in tasks):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content["task_name"] == path.stem
        (result,) = content["scores"]["test"]
        found[path.stem] = result["main_score"]
    return found


def test_sts_is_the_spearman_correlation_of_cosines(model_folder, tmp_path):
    rows = pairs(tmp_path / "Made.arrow", [float(i % 7) for i in range(40)])
    found = scores(model_folder, tmp_path / "out", {"Made": "STS"}, tmp_path / "Made.arrow")["Made"]
    model = load_static_model(model_folder)
    cosines = (model.encode(rows["sentence1"]) * model.encode(rows["sentence2"])).sum(axis=1)
    assert found == pytest.approx(spearmanr(cosines, rows["score"])[0], abs=1e-4)


def test_classification_learns_from_the_train_split_and_repeats(model_folder, tmp_path):
    texts, topics = zip(*synthetic_sentences(160), strict=True)
    labels = [list(TOPICS).index(topic) for topic in topics]
    halves = [{"text": texts[start::2], "label": labels[start::2]} for start in (0, 1)]
    data = write_task(tmp_path / "Made.arrow", train=halves[0], test=halves[1])
    first = scores(model_folder, tmp_path / "first", {"Made": "Classification"}, data)
    assert first["Made"] > 0.6  # chance is one in three
    assert scores(model_folder, tmp_path / "second", {"Made": "Classification"}, data) == first


@pytest.mark.parametrize("task_type", ["STS", "Classification", "PairClassification"])
def test_resampled_scores_scatter_around_the_score(task_type, model_folder, tmp_path):
    texts, topics = zip(*synthetic_sentences(160), strict=True)
    labels = [list(TOPICS).index(topic) for topic in topics]
    rows = {"sentence1": texts[:80], "sentence2": texts[80:]}
    alike = [int(a == b) for a, b in zip(topics[:80], topics[80:], strict=True)]
    splits = {
        "STS": {"test": rows | {"score": list(map(float, alike))}},
        "PairClassification": {"test": rows | {"labels": alike}},
        "Classification": {
            name: {"text": texts[i::2], "label": labels[i::2]} for i, name in enumerate(["train", "test"])
        },
    }
    data = write_task(tmp_path / "Made.arrow", **splits[task_type])
    found = scores(model_folder, tmp_path / "out", {"Made": task_type}, data)["Made"]
    resampled = polars.read_parquet(tmp_path / "out.parquet")["Made"].to_numpy()
    assert resampled.shape == (1000,)
    assert 0 < resampled.std() < 0.2
    assert abs(resampled.mean() - found) < 0.3 * resampled.std()


@pytest.fixture
def three(tmp_path):
    """Three tasks; the second cannot be scored, for its ratings are equal."""
    ratings = {"A": [float(i % 7) for i in range(20)], "B": [3.0] * 10, "C": [float(i % 3) for i in range(20)]}
    for name, values in ratings.items():
        pairs(tmp_path / f"{name}.arrow", values)
    return [tmp_path / f"{name}.arrow" for name in ratings]


def test_a_task_that_fails_loses_no_other_and_a_rerun_scores_only_that(model_folder, tmp_path, three, capfd):
    custom = dict.fromkeys("ABC", "STS")
    out, cache = tmp_path / "out", tmp_path / "cache"
    with pytest.raises(InputError, match=r"task B:.*nan.* 2 "):
        scores(model_folder, out, custom, *three, cache=cache)
    assert not out.exists()
    assert list(json.loads((cache / "failed.json").read_text(encoding="utf-8"))) == ["B"]
    before = {path: path.stat().st_mtime_ns for path in cache.glob("?/*")}
    assert {path.parent.name for path in before} == {"A", "C"}
    pairs(three[1], [float(i % 5) for i in range(10)])
    capfd.readouterr()
    assert sorted(scores(model_folder, out, custom, *three, cache=cache)) == ["A", "B", "C"]
    scored = [line for line in capfd.readouterr().err.splitlines() if line.startswith("m distilled")]
    assert [line.split()[2] for line in scored] == ["B:"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not (cache / "failed.json").exists()


def test_a_bug_in_one_task_loses_no_other(model_folder, tmp_path, three, capfd):
    write_task(three[1], test={"sentence1": ["a"], "score": [1.0]})
    with pytest.raises(InputError, match="task B"):
        scores(model_folder, tmp_path / "out", dict.fromkeys("ABC", "STS"), *three, cache=tmp_path / "cache")
    assert "Traceback" in capfd.readouterr().err
    assert len(list((tmp_path / "cache").glob("?/result.json"))) == 2


def test_other_data_or_another_model_is_scored_anew_and_replaces_what_was_cached(
    model_folder, teacher_folder, tmp_path, three
):
    out, cache = tmp_path / "out", tmp_path / "cache"
    first = scores(model_folder, out, {"A": "STS"}, three[0], cache=cache)
    pairs(three[0], [float(-(i % 7)) for i in range(20)])
    second = scores(model_folder, out, {"A": "STS"}, three[0], cache=cache)
    other = distilled(teacher_folder, tmp_path / "other", dimensions=4)
    third = scores(other, out, {"A": "STS"}, three[0], cache=cache)
    assert second["A"] == pytest.approx(-first["A"])
    assert third["A"] not in (first["A"], second["A"])
    assert sorted(path.name for path in cache.rglob("*.*")) == [HASHES, "key.json", "resampled.npy", "result.json"]


def test_other_code_scores_anew(model_folder, tmp_path, three, capfd):
    for text, scored in [("one", 1), ("one", 0), ("another", 1)]:
        (tmp_path / "code.py").write_text(text)
        scores(model_folder, tmp_path / "out", {"A": "STS"}, three[0], code=[tmp_path / "code.py"])
        assert capfd.readouterr().err.count("m distilled A: ") == scored


def test_a_table_that_differs_in_one_label_is_other_data(model_folder, tmp_path):
    for name in ["before", "again", "edited"]:
        folder = tmp_path / name
        rows = [{"text": f"text {i}", "label": i % 2, "split": ["train", "test"][i // 6]} for i in range(12)]
        rows[6]["label"] = int(name == "edited")
        (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
        command = ["--name", "Mine", "--source", tmp_path / "rows.jsonl", "--type", "Classification"]
        prepare_task.main([str(part) for part in [*command, "--output", folder / "Mine.arrow"]])
        resampled = folder / "mteb" / "resampled" / "m" / "distilled"
        scores(model_folder, resampled, {"Mine": "Classification"}, folder / "Mine.arrow", cache=folder / "cache")
        found = read_results([resampled / "Mine.json"], {"Mine": "Classification"})
        write_json(folder / "summary.json", {"rows": found, "settings": {"evaluation_seed": 42}})
        (folder / "config.yaml").write_text(f"run: {name}\n")
        compare_runs.main(
            ["--before", str(tmp_path / "before"), "--after", str(folder), "--output", str(folder / "it.md")]
        )
    told = [line for line in (tmp_path / "again" / "it.md").read_text(encoding="utf-8").splitlines() if "Mine" in line]
    assert told and "revision" not in told[0]
    assert "of another revision: Mine" in (tmp_path / "edited" / "it.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["result.json", "resampled.npy", "key.json", HASHES])
@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:-1], lambda content: None])
def test_a_cached_score_that_is_damaged_or_gone_is_scored_again(model_folder, tmp_path, three, name, damage):
    out, cache = tmp_path / "out", tmp_path / "cache"
    first = scores(model_folder, out, {"A": "STS"}, three[0], cache=cache)
    resampled = (tmp_path / "out.parquet").read_bytes()
    path = cache / "A" / name
    content = damage(path.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    shutil.rmtree(out)
    (tmp_path / "out.parquet").unlink()
    assert scores(model_folder, out, {"A": "STS"}, three[0], cache=cache) == first
    assert (tmp_path / "out.parquet").read_bytes() == resampled


def test_a_stage_that_is_not_as_it_was_made_is_not_scored(model_folder, tmp_path, three):
    damaged = shutil.copytree(model_folder, tmp_path / "damaged")
    (damaged / "config.json").write_text((damaged / "config.json").read_text(encoding="utf-8").replace("true", "false"))
    with pytest.raises(InputError, match=r"config\.json"):
        scores(damaged, tmp_path / "out", {"A": "STS"}, three[0])
    (damaged / HASHES).unlink()
    with pytest.raises(InputError, match=HASHES):
        scores(damaged, tmp_path / "out", {"A": "STS"}, three[0])


def test_reports_in_a_models_folder_are_no_part_of_its_hash(model_folder, tmp_path):
    copied = shutil.copytree(model_folder, tmp_path / "copied")
    before = evaluate.model_hash(copied)
    (copied / "training.json").write_text("{}")
    assert evaluate.model_hash(copied) == before
    (copied / "tokenizer.json").write_text("{}")
    assert evaluate.model_hash(copied) != before


def test_a_repeated_text_is_embedded_once_and_answered_everywhere():
    asked = []

    def embed(texts):
        asked.extend(texts)
        return np.array([[len(text), 1.0] for text in texts])

    texts = ["aa", "b", "aa", "cccc", "b"]
    loader = DataLoader(Dataset.from_dict({"text": texts}), batch_size=2)
    assert Encoder(embed, "m", "r").encode(loader)[:, 0].tolist() == [2, 1, 2, 4, 1]
    assert sorted(asked) == ["aa", "b", "cccc"]


@pytest.mark.usefixtures("precision")
def test_a_transformer_is_loaded_by_sentence_transformers(teacher_folder):
    vectors = embedder.load_embedder(teacher_folder, "cpu")(["the old boat", "a quiet farm"])
    assert vectors.shape == (2, 32)


def test_a_transformers_progress_is_ours_and_its_vectors_are_in_the_texts_order(
    teacher_folder, sentences, monkeypatch, capfd, precision
):
    monkeypatch.setattr(embedder, "TEXTS_AT_ONCE", 128)
    vectors = embedder.load_embedder(teacher_folder, "cpu")(sentences)
    assert "400 texts in " in capfd.readouterr().err
    expected = SentenceTransformer(str(teacher_folder), device="cpu").encode(sentences, batch_size=64)
    np.testing.assert_allclose(vectors, expected, atol={"float32": 1e-5, "bfloat16": 0.1}[precision])


def test_a_transformer_in_bfloat16_is_pooled_in_float32(teacher_folder, sentences, monkeypatch):
    monkeypatch.setattr(embedder, "has_fast_bfloat16", lambda device: True)
    vectors = embedder.load_embedder(teacher_folder, "cpu")(sentences)
    expected = SentenceTransformer(str(teacher_folder), device="cpu").encode(sentences)
    assert vectors.dtype == np.float32
    cosines = (vectors * expected).sum(axis=1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.999 and cosines.mean() < 1 - 1e-7
    rounded = torch.from_numpy(vectors).bfloat16().float().numpy()
    assert (rounded != vectors).mean() > 0.9


@pytest.mark.usefixtures("precision")
def test_a_transformer_leaves_no_bars_in_a_log(teacher_folder, sentences, capfd):
    embedder.load_embedder(teacher_folder, "cpu")(sentences)
    assert "\r" not in capfd.readouterr().err


def test_weights_that_can_hold_code_are_refused(teacher_folder, tmp_path):
    folder = shutil.copytree(teacher_folder, tmp_path / "baseline")
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense")]
    types = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(modules)
    ]
    configs = {
        "modules.json": types,
        "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True},
        "2_Dense/config.json": {"in_features": 32, "out_features": 4, "bias": False},
    }
    for name, content in configs.items():
        write_json(folder / name, content)
    weights = {"linear.weight": torch.ones(4, 32)}
    torch.save(weights, folder / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"2_Dense/pytorch_model\.bin"):
        embedder.load_embedder(folder, "cpu")
    save_file(weights, folder / "2_Dense" / "model.safetensors")
    assert embedder.load_embedder(folder, "cpu")(["boat"]).shape == (1, 4)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        embedder.load_embedder(tmp_path, "cpu")


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


def written(name, folder, **splits):
    """The splits of a task's data, given as lists of texts, as they are written and read."""
    task = mteb_task(name)
    rows = {split: Dataset.from_dict({"text": texts, "label": [0] * len(texts)}) for split, texts in splits.items()}
    data = DatasetDict(rows)
    task.dataset = data if task.hf_subsets == ["default"] else {task.hf_subsets[0]: data}
    write_data(task, folder / name)
    (found,) = read_data(folder / name).values()
    return {split: rows["text"] for split, rows in found.items()}


def test_a_development_task_has_nothing_of_the_test_split(tmp_path):
    texts = [f"text {i}" for i in range(40)]
    found = written("EmotionClassification-dev", tmp_path, train=texts, validation=["v", "w"], test=["secret"])
    assert found == {"train": texts, "test": ["v", "w"]}
    found = written("Banking77Classification-dev", tmp_path, train=texts + texts, test=["secret"])
    assert sorted(found["train"] + found["test"]) == sorted(texts + texts)
    assert not set(found["train"]) & set(found["test"]) and min(map(len, found.values())) > 20
    found = written("SprintDuplicateQuestions-dev", tmp_path, validation=["v"], test=["secret"])
    assert found == {"test": ["v"]}
    assert written("STS22-dev", tmp_path, train=["t"], test=["secret"]) == {"test": ["t"]}
    with pytest.raises(InputError, match=r"task STS22-dev:.*\['test'\]"):
        written("STS22-dev", tmp_path, test=["secret"])
    with pytest.raises(InputError, match=r"task STS12-dev:.*\['train', 'test'\]"):
        written("STS12-dev", tmp_path, train=texts, test=["secret"])


def test_rows_selected_one_by_one_are_written_in_few_batches(tmp_path):
    written("Banking77Classification-dev", tmp_path, train=[f"text {i}" for i in range(100)], test=["secret"])
    tables = read_splits(tmp_path / "Banking77Classification-dev").values()
    assert [table.column("text").num_chunks for table in tables] == [1, 1]


def test_stsbenchmark_is_developed_on_pairs_that_no_test_set_has(tmp_path):
    years = ["2012test", "2012train", "2015", "2012train"]
    task = mteb_task("STSBenchmark-dev")
    columns = {split: [f"{split} {i}" for i in range(4)] for split in ["train", "validation", "test"]}
    task.dataset = DatasetDict(
        {split: Dataset.from_dict({"sentence1": texts, "year": years}) for split, texts in columns.items()}
    )
    write_data(task, tmp_path / "pairs.arrow")
    (splits,) = read_data(tmp_path / "pairs.arrow").values()
    assert {split: rows["sentence1"] for split, rows in splits.items()} == {
        "test": ["train 1", "train 3", "validation 1", "validation 3"]
    }
    with pytest.raises(InputError, match=r"task STSBenchmark-dev:.*2012train"):
        written("STSBenchmark-dev", tmp_path, train=["t"], validation=["v"], test=["secret"])


def test_pairs_in_the_lists_of_one_row_get_a_row_each(tmp_path):
    task = mteb_task("TwitterURLCorpus")
    rows = {"sentence1": [["a", "b", "c"]], "sentence2": [["d", "e", "f"]], "labels": [[0, 1, 1]]}
    task.dataset = DatasetDict(test=Dataset.from_dict(rows))
    write_data(task, tmp_path / "pairs.arrow")
    found = read_data(tmp_path / "pairs.arrow")["default"]["test"]
    assert found["sentence2"] == ["d", "e", "f"] and found["labels"] == [0, 1, 1]


def test_a_development_task_is_scored_under_its_own_name(model_folder, tmp_path):
    pairs(tmp_path / "STSBenchmark-dev.arrow", [float(i % 5) for i in range(30)])
    assert list(scores(model_folder, tmp_path / "out", {}, tmp_path / "STSBenchmark-dev.arrow")) == ["STSBenchmark-dev"]


@pytest.mark.parametrize("content", [b"", b"PK", b"ARROW1", "cut short"])
def test_damaged_data_is_named(tmp_path, content):
    data = write_task(tmp_path / "task.arrow", test={"text": ["a", "b"], "label": [0, 1]})
    data.write_bytes(data.read_bytes()[:-20] if content == "cut short" else content)
    with pytest.raises(InputError, match=r"task\.arrow"):
        read_data(data)


def test_texts_without_a_known_token_are_scored_like_any_other(model_folder, tmp_path):
    odd = [
        "",
        " ",
        "\0",
        "\u6f22 \u6f22",
        "!!!",
        "\U0001f469\u200d\U0001f680",
        "\u202e\u05d0",
        "x" * 100_000,
        "boat " * 9_000,
    ]
    texts = [*odd, *(text for text, _ in synthetic_sentences(15))]
    pairs = {"sentence1": texts, "sentence2": texts[::-1]}
    write_task(tmp_path / "Stars.arrow", test=pairs | {"score": [float(i % 7) for i in range(24)]})
    write_task(tmp_path / "Pairs.arrow", test=pairs | {"labels": [0, 1] * 12})
    half = {"text": texts, "label": [0, 1, 1] * 8}
    write_task(tmp_path / "Kinds.arrow", train=half, test=half)
    types = {"Stars": "STS", "Pairs": "PairClassification", "Kinds": "Classification"}
    found = scores(model_folder, tmp_path / "out", types, *(tmp_path / f"{task}.arrow" for task in types))
    assert list(found) == list(types) and np.isfinite(list(found.values())).all()


def test_a_column_is_read_without_the_others(tmp_path):
    data = write_task(tmp_path / "task.arrow", test={"text": ["long " * 20_000] * 100, "label": [0, 1] * 50})
    tracemalloc.start()
    try:
        labels = read_data(data)["default"]["test"]["label"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert labels == [0, 1] * 50
    assert peak < data.stat().st_size / 10


def test_a_development_task_leaves_the_task_that_it_is_of_as_it_was():
    before = mteb_task("STS17")
    assert mteb_task("STS17-dev").metadata.name == "STS17-dev"
    after = mteb_task("STS17")
    assert (after.metadata.name, after.hf_subsets) == ("STS17", before.hf_subsets)
    assert "STS17-dev" not in {task.metadata.name for task in mteb.get_benchmark(BENCHMARK).tasks}


def test_tasks_of_mteb_are_found_and_others_refused():
    assert mteb_task("STS17").hf_subsets == ["en-en"]
    assert mteb_task("STSBenchmark").eval_splits == ["test"]
    with pytest.raises(InputError, match="STS31"):
        mteb_task("STS31")
    with pytest.raises(InputError, match="Retrieval"):
        mteb_task("NFCorpus")
    with pytest.raises(InputError, match=r"LegalBenchPC.*max_accuracy.*max_ap"):
        mteb_task("LegalBenchPC")
