"""Transformers whose weights do not fill them are refused, by every loader; other architectures than BERT are read."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForTextEncoding, AutoTokenizer, BertForMaskedLM, PreTrainedTokenizerFast

import distill
from lib.embedder import load_embedder
from lib.job.command import InputError
from lib.teacher import Teacher

MAX_LENGTH = 64
LOADERS = {
    "teacher": lambda folder: Teacher(folder, MAX_LENGTH, "mean", "cpu"),
    "distilled": lambda folder: distill.distill(folder, 16, None, "cpu"),
    "baseline": lambda folder: load_embedder(folder, "cpu"),
}
LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 64}
T5 = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}
ARCHITECTURES = {
    "MPNet": LAYERS | {"max_position_embeddings": 66},
    "DebertaV2": LAYERS | {"relative_attention": True, "pos_att_type": "p2c|c2p"},
    "Roberta": LAYERS | {"max_position_embeddings": 66},
    "DistilBert": {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2, "max_position_embeddings": 64},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "T5": T5,
}


@pytest.fixture
def copied(teacher_folder, tmp_path):
    """A copy of the teacher to damage."""
    return shutil.copytree(teacher_folder, tmp_path / "copied")


def prefixed(weights, _):
    return {f"_orig_mod.{name}": values for name, values in weights.items()}


def wrapped_too(weights, _):
    return weights | {f"wrapped.{name}": values.clone() for name, values in weights.items()}


def without_one(weights, _):
    return {name: values for name, values in weights.items() if not name.endswith("1.output.dense.bias")}


def of_another_width(weights, _):
    return {
        name: values[:-1].clone() if name.endswith("LayerNorm.bias") else values for name, values in weights.items()
    }


def deeper(weights, config):
    config["num_hidden_layers"] = 3
    return weights


def shallower(weights, config):
    config["num_hidden_layers"] = 1
    return weights


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize("damage", [prefixed, wrapped_too, without_one, of_another_width, deeper, shallower])
def test_weights_that_do_not_fill_the_model_or_fit_into_it_are_refused(copied, load, damage):
    config = json.loads((copied / "config.json").read_text(encoding="utf-8"))
    weights = damage(load_file(copied / "model.safetensors"), config)
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=str(copied)):
        load(copied)


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize("prefix", ["", "bert."])
def test_the_positions_numbers_of_an_older_checkpoint_are_no_weights(copied, load, prefix):
    weights = load_file(copied / "model.safetensors")
    weights = {f"{prefix}{name}": values for name, values in weights.items()}
    weights[f"{prefix}embeddings.position_ids"] = torch.arange(64)[None]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert load(copied) is not None


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_a_pooler_may_be_missing_and_the_head_of_a_training_is_left_out(copied, load):
    weights = load_file(copied / "model.safetensors")
    with_head = BertForMaskedLM.from_pretrained(copied)  # which has no pooler
    assert any(name.startswith("pooler.") for name in weights)
    with_head.save_pretrained(copied)
    assert any(name.startswith("cls.") for name in load_file(copied / "model.safetensors"))
    assert load(copied) is not None


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_another_architecture_is_distilled_and_gives_the_vectors_that_it_gives_alone(name, teacher_folder, tmp_path):
    texts = ["The quiet boat", "", "storm " * 100, "A small violin beside every old harbour under rain."]
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(vocab_size=300, **ARCHITECTURES[name])
    getattr(transformers, f"{name}Model")(config).save_pretrained(tmp_path)
    words = AutoTokenizer.from_pretrained(teacher_folder).backend_tokenizer
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(tmp_path)  # none to pad with

    assert distill.distill(tmp_path, 16, None, "cpu").embedding.any()
    teacher = Teacher(tmp_path, MAX_LENGTH, "mean-with-special", "cpu")
    vectors = np.zeros((len(texts), 32), np.float32)
    for rows, values in teacher.embed(texts):
        vectors[rows] = values
    kinds = AutoModelForTextEncoding if name == "T5" else transformers.AutoModel
    alone = kinds.from_pretrained(tmp_path, dtype=teacher.model.dtype).eval()
    for text, vector in zip(texts, vectors, strict=True):
        ids = torch.tensor([teacher.tokenizer.backend_tokenizer.encode(text).ids])
        with torch.inference_mode():
            expected = alone(input_ids=ids).last_hidden_state[0].float().mean(0).numpy()
        assert vector @ expected > 0.999 * np.linalg.norm(vector) * np.linalg.norm(expected)


def test_the_positions_that_roberta_leaves_to_padding_are_not_counted(teacher_folder, tmp_path):
    config = transformers.RobertaConfig(vocab_size=300, **ARCHITECTURES["Roberta"])
    transformers.RobertaModel(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(teacher_folder).save_pretrained(tmp_path)
    Teacher(tmp_path, 64, "mean", "cpu")
    with pytest.raises(InputError, match=r"65.*64"):
        Teacher(tmp_path, 65, "mean", "cpu")


@pytest.mark.parametrize("pooling", ["cls", "mean", "lasttoken"])
def test_a_tokenizer_that_pads_before_the_text_changes_no_vector(copied, sentences, pooling):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    settings = json.loads((copied / "tokenizer_config.json").read_text(encoding="utf-8"))
    (copied / "tokenizer_config.json").write_text(json.dumps(settings | {"padding_side": "left"}))
    SentenceTransformer(modules=[Transformer(str(copied)), Pooling(32, pooling)]).save(str(copied / "saved"))
    embed = load_embedder(copied / "saved", "cpu")
    texts = sorted(sentences, key=len)[:: len(sentences) // 10]
    alone = np.concatenate([embed([text]) for text in texts])
    cosines = (embed(texts) * alone).sum(1) / np.linalg.norm(alone, axis=1) ** 2
    assert cosines.min() > 0.99

    own = Teacher(copied, MAX_LENGTH, {"mean": "mean-with-special", "lasttoken": "last"}.get(pooling, pooling), "cpu")
    for rows, values in own.embed(texts):
        cosines = (values * alone[rows]).sum(1) / np.linalg.norm(alone[rows], axis=1) / np.linalg.norm(values, axis=1)
        assert cosines.min() > 0.99
