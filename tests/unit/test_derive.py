"""Models that come from another one: fewer dimensions, shared vectors."""

import json

import numpy as np
import pytest
from helpers import distilled, write_shard

import derive
import quantize
from lib.command import InputError
from lib.files import sha256
from lib.static_model import load_static_model


@pytest.fixture(scope="module")
def model_folder(teacher_folder, tmp_path_factory):
    return distilled(teacher_folder, tmp_path_factory.mktemp("model") / "distilled")


def run(model_folder, sentences, output, *arguments):
    shard = write_shard(output.parent / "sentences" / "00000.parquet", sentences)
    command = ["--model", model_folder, "--sentences", shard.parent, "--count", len(sentences), "--output", output]
    derive.main([str(part) for part in [*command, *arguments]])
    return load_static_model(output), json.loads((output / "derivation.json").read_text())


def similarities(model, sentences):
    embedded = model.encode(sentences).astype(np.float64)
    return embedded @ embedded.T


def test_fewer_dimensions_keep_the_sentences_apart_as_well_as_any(model_folder, sentences, tmp_path):
    model, report = run(model_folder, sentences, tmp_path / "derived", "--dimensions", 8)
    original = load_static_model(model_folder)
    assert model.embedding.shape == (len(original.tokens), 8)
    assert model.embedding.dtype == np.float32
    means = original.encode(sentences, normalize=False).astype(np.float64)
    values = np.linalg.svd(means - means.mean(axis=0), compute_uv=False) ** 2
    assert report["variance_kept"] == pytest.approx(values[:8].sum() / values.sum())
    reduced = model.encode(sentences, normalize=False).astype(np.float64)
    assert reduced.var(axis=0).sum() == pytest.approx(values[:8].sum() / len(sentences))


def test_all_but_one_dimension_hardly_change_similarities(model_folder, sentences, tmp_path):
    model, _ = run(model_folder, sentences, tmp_path / "derived", "--dimensions", 15)
    change = similarities(model, sentences) - similarities(load_static_model(model_folder), sentences)
    assert np.abs(change).mean() < 0.05


def test_clusters_share_vectors_and_keep_a_weight_a_token(model_folder, sentences, tmp_path):
    model, report = run(model_folder, sentences, tmp_path / "derived", "--clusters", 150)
    assert model.embedding.shape == (150, 16)
    assert len(model.weights) == len(model.token_mapping) == len(model.tokens) > 150
    assert report["clusters"] == 150
    original = load_static_model(model_folder)
    assert (model.encode(sentences) * original.encode(sentences)).sum(axis=1).mean() > 0.9


def test_both_and_int8_of_them(model_folder, sentences, tmp_path):
    model, report = run(model_folder, sentences, tmp_path / "derived", "--dimensions", 8, "--clusters", 150)
    assert model.embedding.shape == (150, 8)
    shard = str(tmp_path / "sentences" / "00000.parquet")
    quantize.main(["--model", str(tmp_path / "derived"), "--sentences", shard, "--output", str(tmp_path / "int8")])
    int8 = load_static_model(tmp_path / "int8")
    assert int8.embedding.dtype == np.int8
    assert int8.weights.dtype == np.float16
    assert (int8.encode(sentences) * model.encode(sentences)).sum(axis=1).min() > 0.99
    assert json.loads((tmp_path / "int8" / "quantization.json").read_text())["clusters"] == 150
    assert report["model_sha256"] == sha256(tmp_path / "derived" / "model.safetensors")


def test_the_same_inputs_give_the_same_bytes(model_folder, sentences, tmp_path):
    for name in ["first", "second"]:
        run(model_folder, sentences, tmp_path / name, "--dimensions", 8, "--clusters", 50)
    assert sha256(tmp_path / "first" / "model.safetensors") == sha256(tmp_path / "second" / "model.safetensors")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--dimensions", 16, "dimensions: 16 asked for, expected fewer than the model's 16"),
        ("--clusters", 100000, "clusters: 100000 asked for, expected fewer than"),
    ],
)
def test_a_model_that_would_not_be_smaller_is_refused(model_folder, sentences, tmp_path, option, value, words):
    with pytest.raises(InputError, match=words):
        run(model_folder, sentences, tmp_path / "derived", option, value)
    assert not (tmp_path / "derived").exists()


def test_shared_vectors_are_not_shared_again(model_folder, sentences, tmp_path):
    run(model_folder, sentences, tmp_path / "derived", "--clusters", 150)
    with pytest.raises(InputError, match="has some already"):
        run(tmp_path / "derived", sentences, tmp_path / "again", "--clusters", 20)
