"""How fast models embed, measured in turns."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
import transformers
from helpers import distilled, write_shard

import measure_speed
from lib.embedder import load_embedder
from lib.job.command import InputError
from lib.static_model import load_static_model, save_static_model, with_vectors


@pytest.fixture
def threads(monkeypatch):
    """Let a test change the number of threads."""
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def measured(folders, shard, output):
    command = ["--models", *folders.values(), "--names", *folders, "--sentences", shard, "--threads", 2]
    measure_speed.main([str(part) for part in [*command, "--output", output]])
    return json.loads(output.read_text(encoding="utf-8"))


def test_each_model_that_can_be_is_measured_with_one_thread_and_with_all_on_short_and_long_texts(
    teacher_folder, sentences, tmp_path, threads, monkeypatch
):
    monkeypatch.setattr(measure_speed, "SECONDS", 0.001)
    folders = {"m/int8": distilled(teacher_folder, tmp_path / "m"), "peer/baseline": teacher_folder}
    broken = shutil.copytree(teacher_folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"")
    found = measured(
        folders | {"broken/baseline": broken},
        write_shard(tmp_path / "sentences" / "00000.parquet", sentences),
        tmp_path / "speed.json",
    )
    assert [(row["model"], row["threads"], row["texts"]) for row in found["rows"]] == [
        (model, count, length) for count in (1, 2) for length in ("short", "long") for model in folders
    ]
    assert min(row["texts_per_second"] for row in found["rows"]) > 0
    for row in found["rows"]:
        assert ("milliseconds" in row) == (row["texts"] == "short")
        if row["texts"] == "short":
            assert 0 < row["milliseconds"]["p50"] <= row["milliseconds"]["p99"]
    assert set(found["loading"]) == set(folders)
    for taken in found["loading"].values():
        assert taken["seconds"] > 0
        assert taken["megabytes"] > 0
    assert set(found["failed"]) == {"broken/baseline"}
    assert str(broken) in found["failed"]["broken/baseline"]
    assert found["sentences"] == 400
    assert found["processor"]


def test_models_have_their_turns_on_the_same_texts_new_ones_in_each_round():
    seen = []
    models = {name: lambda texts, name=name: seen.append((name, texts)) for name in "ab"}
    models["broken"] = lambda texts: [][0]
    failed, texts = {}, [f"{number} is a number" for number in range(100)]
    found = measure_speed.rates(models, texts, failed, rounds=3)
    assert [name for name, _ in seen[-6:]] == ["a", "b"] * 3
    rounds = [given for _, given in seen[-6:]]
    assert rounds[::2] == rounds[1::2] and len({text for given in [texts, *rounds] for text in given}) == 400
    assert {tuple(sorted(text.split())) for given in rounds for text in given} == {
        tuple(sorted(text.split())) for text in texts
    }
    assert set(found) == {"a", "b"}
    assert set(failed) == {"broken"} and failed["broken"]


def test_few_texts_are_as_long_as_all_are():
    texts = ["x" * (i * i % 1009) for i in range(1009)]
    for count in (1, 32, 500, 1009):
        few = measure_speed.spread(texts, count)
        assert len(few) == count
        if count >= 32:
            assert np.mean([*map(len, few)]) == pytest.approx(np.mean([*map(len, texts)]), rel=0.02)
    assert sorted(measure_speed.spread(texts, 1009)) == sorted(texts)


def test_the_tokenizers_threads_are_set_too(threads):
    measure_speed.use_threads(1)
    assert (torch.get_num_threads(), os.environ["TOKENIZERS_PARALLELISM"]) == (1, "false")
    measure_speed.use_threads(2)
    assert (torch.get_num_threads(), os.environ["TOKENIZERS_PARALLELISM"]) == (2, "true")


def test_a_models_memory_is_that_of_its_vectors(teacher_folder, tmp_path):
    model = load_static_model(distilled(teacher_folder, tmp_path / "m"))
    vectors = np.random.default_rng(0).standard_normal((len(model.tokens), 100_000)).astype(np.float32)  # 120 MB
    save_static_model(with_vectors(model, vectors), tmp_path / "large")
    found = measure_speed.loading({"large": tmp_path / "large"}, ["the boat"], {})
    assert vectors.nbytes / 1e6 == pytest.approx(found["large"]["megabytes"], rel=0.1)


def test_a_text_is_cut_to_a_models_positions_where_its_tokenizer_says_no_length(teacher_folder, tmp_path):
    shape = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 64}
    config = transformers.XLMRobertaConfig(vocab_size=300, max_position_embeddings=66, **shape)
    transformers.XLMRobertaModel(config).save_pretrained(tmp_path)
    words = transformers.AutoTokenizer.from_pretrained(teacher_folder).backend_tokenizer
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(
        tmp_path
    )
    embedded = load_embedder(tmp_path, "cpu")(["boat " * 62, "boat " * 500])
    assert np.isfinite(embedded).all()
    np.testing.assert_allclose(embedded[1], embedded[0], atol=1e-2)


def test_a_shard_without_sentences_is_named(teacher_folder, tmp_path):
    shard = write_shard(tmp_path / "sentences" / "empty.parquet", [])
    with pytest.raises(InputError, match=r"empty\.parquet"):
        measured({"peer/baseline": teacher_folder}, shard, tmp_path / "speed.json")
