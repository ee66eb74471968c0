"""The stage that tokenlearn's own trainer makes."""

import json
import shutil

import numpy as np
import pytest
from helpers import distilled, write_embeddings, write_shard

import train_tokenlearn
from lib.job.command import InputError
from lib.job.files import sha256
from lib.static_model import load_static_model


@pytest.fixture(scope="module")
def folders(teacher_folder, sentences, tmp_path_factory):
    """A distilled model of 16 dimensions, sentences, and targets that a static model of theirs makes."""
    root = tmp_path_factory.mktemp("tokenlearn")
    student = distilled(teacher_folder, root / "distilled")
    shard = write_shard(root / "sentences" / "00000.parquet", sentences)
    model = load_static_model(student)
    model.embedding = np.random.default_rng(0).normal(size=(len(model.tokens), 24)).astype(np.float32)
    write_embeddings(shard, model.encode(sentences, normalize=False).astype(np.float16))
    return root


def run(folders, output, width=None):
    parts = {"student": "distilled", "sentences": "sentences", "embeddings": "sentences"}
    command = [part for name, folder in parts.items() for part in (f"--{name}", folders / folder)]
    train_tokenlearn.main([str(part) for part in [*command, "--count", 390, "--seed", 3, "--output", output]])
    return load_static_model(output)


def correlation(model, targets, sentences):
    """How alike the similarities of a model are to the targets'."""
    found, wanted = (
        np.corrcoef(part)[np.triu_indices(len(sentences), 1)] for part in (model.encode(sentences), targets)
    )
    return np.corrcoef(found, wanted)[0, 1]


def test_it_learns_the_targets_and_says_how(folders, sentences, tmp_path):
    model = run(folders, tmp_path / "trained")
    targets = np.load(folders / "sentences" / "00000.npy").astype(np.float32)
    before = correlation(load_static_model(folders / "distilled"), targets, sentences)
    assert correlation(model, targets, sentences) > before + 0.1
    assert model.embedding.shape == (len(model.tokens), 16)
    report = json.loads((tmp_path / "trained" / "training.json").read_text(encoding="utf-8"))
    assert report["seed"] == 3
    assert report["versions"]["tokenlearn"] == "0.2.1"
    assert report["model_sha256"] == sha256(tmp_path / "trained" / "model.safetensors")


def test_the_same_inputs_give_the_same_bytes(folders, sentences, tmp_path):
    root = shutil.copytree(folders, tmp_path / "random")
    targets = np.random.default_rng(0).normal(size=(len(sentences), 24))  # with nothing to learn, so it ends soon
    write_embeddings(root / "sentences" / "00000.parquet", targets)
    first, again = (run(root, root / name) for name in ["first", "again"])
    assert first.embedding.tobytes() == again.embedding.tobytes()
    assert first.embedding.tobytes() != load_static_model(root / "distilled").embedding.tobytes()


def test_unknown_and_padding_tokens_stay_zero(folders, sentences):
    model = load_static_model(folders / "distilled")
    texts = [f"{text} \N{SNOWMAN}" for text in sentences]
    targets = np.random.default_rng(0).normal(size=(len(texts), 24)).astype(np.float32)
    found = train_tokenlearn.train_tokenlearn(model, texts, targets, 0, "cpu")
    assert not found.embedding[[model.unk_token_id, model.tokenizer.token_to_id("[PAD]")]].any()


def test_a_teacher_narrower_than_the_model_is_refused(folders, sentences):
    model = load_static_model(folders / "distilled")
    with pytest.raises(InputError, match=r"16.*8"):
        train_tokenlearn.train_tokenlearn(model, sentences, np.zeros((len(sentences), 8), np.float32), 0, "cpu")


def test_an_interrupted_training_leaves_no_model(folders, tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_tokenlearn.Bar, "__iter__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(folders, tmp_path / "tokenlearn")
    assert not list(tmp_path.iterdir())


def test_its_bar_writes_no_line_for_each_step(capfd):
    bar = train_tokenlearn.pretrain.tqdm(range(500), mininterval=60)
    for i in bar:
        bar.set_description_str(f"Train Loss: {i}")
    assert capfd.readouterr().err.count("\r") < 5
