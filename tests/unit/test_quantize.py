"""Quantization to int8 and clustered vocabularies."""

import json
import shutil

import numpy as np
import pytest
from helpers import distilled, write_shard
from model2vec.model import quantize_model
from safetensors.numpy import load_file, save_file

import quantize
from lib.cosine_change import cosines
from lib.job.command import InputError
from lib.job.files import write_hashes
from lib.static_model import load_static_model, save_static_model, with_vectors


@pytest.fixture(scope="module")
def model_folder(teacher_folder, tmp_path_factory):
    return distilled(teacher_folder, tmp_path_factory.mktemp("model") / "distilled")


def run(model_folder, sentences, tmp_path):
    shard = write_shard(tmp_path / "sentences" / "00000.parquet", sentences)
    output = tmp_path / "int8"
    command = ["--model", model_folder, "--sentences", shard, "--int8", output, "--float16", tmp_path / "float16"]
    quantize.main([str(part) for part in command])
    return load_static_model(output), json.loads((output / "quantization.json").read_text(encoding="utf-8"))


def test_int8_is_small_and_close(model_folder, sentences, tmp_path):
    model, report = run(model_folder, sentences, tmp_path)
    assert model.embedding.dtype == np.int8
    assert report["bytes"] < report["float32_bytes"] / 3
    change = 1 - cosines(load_static_model(model_folder).encode(sentences), model.encode(sentences))
    assert report["cosine_change_max"] == pytest.approx(change.max())
    assert report["cosine_change_mean"] == pytest.approx(change.mean())
    assert change.max() < 0.05


def test_one_large_value_does_not_make_all_others_coarse(model_folder, sentences, tmp_path):
    model = load_static_model(model_folder)
    vectors = model.embedding.copy()
    seldom = set(range(2, len(vectors))).difference(*model.tokenize(sentences)).pop()
    vectors[seldom, 3] = 2 * np.abs(vectors).max()
    save_static_model(with_vectors(model, vectors), tmp_path / "model")
    found, report = run(tmp_path / "model", sentences, tmp_path)
    plain = quantize_model(load_static_model(tmp_path / "model"), quantize_to="int8")
    before = load_static_model(tmp_path / "model").encode(sentences)
    ours, model2vecs = (1 - cosines(before, int8.encode(sentences)) for int8 in (found, plain))
    assert ours.max() < model2vecs.max() and ours.mean() < 0.7 * model2vecs.mean()
    assert report["limit"] < vectors.max()


def test_a_vector_that_is_not_finite_is_refused(model_folder, sentences, tmp_path):
    damaged = shutil.copytree(model_folder, tmp_path / "damaged")
    weights = load_file(damaged / "model.safetensors")
    weights["embeddings"][7, 3] = np.nan
    save_file(weights, damaged / "model.safetensors")
    write_hashes(damaged)
    with pytest.raises(InputError, match=r"damaged: row 7:"):
        run(damaged, sentences, tmp_path)
    assert not (tmp_path / "int8").exists()


def test_an_absurd_change_is_refused_and_leaves_no_model(model_folder, sentences, tmp_path, monkeypatch):
    monkeypatch.setattr(quantize, "ABSURD_CHANGE", 0.0)
    with pytest.raises(InputError, match="cosine"):
        run(model_folder, sentences, tmp_path)
    assert not (tmp_path / "int8").exists()


def test_cosines():
    left = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    right = np.array([[0.0, 2.0], [3.0, 3.0], [1.0, 0.0]])
    assert cosines(left, right) == pytest.approx([0.0, 1.0, 0.0])
