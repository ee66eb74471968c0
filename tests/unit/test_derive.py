"""Models that come from another one: fewer dimensions, shared vectors."""

import json

import numpy as np
import pytest
from helpers import distilled, write_embeddings, write_shard

import derive
import quantize
from lib.cosine_change import cosines
from lib.job.command import InputError
from lib.job.files import sha256
from lib.static_model import load_static_model, save_static_model, with_vectors


@pytest.fixture(scope="module")
def model_folder(teacher_folder, tmp_path_factory):
    return distilled(teacher_folder, tmp_path_factory.mktemp("model") / "distilled")


SETTINGS = {"loss": "cosine", "temperature": 0.1, "batch-size": 32, "seed": 0}
SETTINGS |= {"learning-rate": 0.01, "epochs": 3, "patience": 3}


def run(model_folder, sentences, output, *arguments):
    shard = write_shard(output.parent / "sentences" / "00000.parquet", sentences)
    command = ["--model", model_folder, "--sentences", shard.parent, "--count", len(sentences), "--output", output]
    command += [part for option, value in SETTINGS.items() for part in (f"--{option}", value)]
    derive.main([str(part) for part in [*command, *arguments]])
    return load_static_model(output), json.loads((output / "derivation.json").read_text(encoding="utf-8"))


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
    save_static_model(with_vectors(model, model.embedding, np.ones_like(model.weights)), tmp_path / "even")
    weights = load_static_model(tmp_path / "even").weights
    assert {model.tokens[i] for i in np.flatnonzero(weights == 0)} == {"[UNK]", "[PAD]"}  # other libraries add them
    original = load_static_model(model_folder)
    assert (model.encode(sentences) * original.encode(sentences)).sum(axis=1).mean() > 0.9


def test_the_tokens_that_count_most_keep_a_vector_of_their_own(model_folder):
    model = load_static_model(model_folder)
    frequent = np.arange(5, len(model.tokens), 10)
    counts = np.zeros(len(model.tokens), dtype=int)
    counts[frequent] = 1_000_000
    clustered = derive.cluster(model, 100, counts, seed=1)
    shared = clustered.embedding[clustered.token_mapping]
    assert cosines(model.embedding, shared)[frequent].min() > 0.999
    assert cosines(model.embedding, shared).min() < 0.9


def test_shared_vectors_are_trained_on_the_teachers_targets(model_folder, sentences, tmp_path):
    shard = write_shard(tmp_path / "sentences" / "00000.parquet", sentences)
    targets = load_static_model(model_folder).encode(sentences, normalize=False)
    write_embeddings(shard, targets.astype(np.float16))
    plain, _ = run(model_folder, sentences, tmp_path / "plain", "--clusters", 30)
    options = ["--clusters", 30, "--embeddings", shard.parent, "--learning-rate", 0.002, "--epochs", 8]
    model, report = run(model_folder, sentences, tmp_path / "derived", *options)
    losses = [point["validation_loss"] for point in report["training"]["curve"]]
    assert min(losses) < 0.9 * losses[0]
    assert (model.token_mapping == plain.token_mapping).all()
    assert report["training"]["settings"]["epochs"] == 8


def test_both_and_int8_of_them(model_folder, sentences, tmp_path):
    model, report = run(model_folder, sentences, tmp_path / "derived", "--dimensions", 8, "--clusters", 150)
    assert model.embedding.shape == (150, 8)
    shard = str(tmp_path / "sentences" / "00000.parquet")
    outputs = ["--int8", str(tmp_path / "int8"), "--float16", str(tmp_path / "float16")]
    quantize.main(["--model", str(tmp_path / "derived"), "--sentences", shard, *outputs])
    int8 = load_static_model(tmp_path / "int8")
    assert int8.embedding.dtype == np.int8
    assert int8.weights.dtype == np.float16
    assert (int8.encode(sentences) * model.encode(sentences)).sum(axis=1).min() > 0.99
    assert json.loads((tmp_path / "int8" / "quantization.json").read_text(encoding="utf-8"))["clusters"] == 150
    assert report["model_sha256"] == sha256(tmp_path / "derived" / "model.safetensors")


def test_the_same_inputs_give_the_same_bytes(model_folder, sentences, tmp_path):
    for name in ["first", "second"]:
        run(model_folder, sentences, tmp_path / name, "--dimensions", 8, "--clusters", 50)
    assert sha256(tmp_path / "first" / "model.safetensors") == sha256(tmp_path / "second" / "model.safetensors")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--dimensions", 16, "dimensions: 16, .*16"),
        ("--clusters", 100000, "clusters: 100000"),
    ],
)
def test_a_model_that_would_not_be_smaller_is_refused(model_folder, sentences, tmp_path, option, value, words):
    with pytest.raises(InputError, match=words):
        run(model_folder, sentences, tmp_path / "derived", option, value)
    assert not (tmp_path / "derived").exists()


def test_shared_vectors_are_not_shared_again(model_folder, sentences, tmp_path):
    run(model_folder, sentences, tmp_path / "derived", "--clusters", 150)
    with pytest.raises(InputError, match=r"^clusters:"):
        run(tmp_path / "derived", sentences, tmp_path / "again", "--clusters", 20)
