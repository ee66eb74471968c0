"""Transformers whose weights do not fill them are refused, by every loader; other architectures than BERT are read."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from transformers import AutoModelForTextEncoding, AutoTokenizer, BertForMaskedLM, PreTrainedTokenizerFast

import check_teacher
import distill
from lib.embedder import load_embedder
from lib.job.command import InputError
from lib.teacher import Teacher, cosines

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
    "Bert": LAYERS | {"max_position_embeddings": 64},
    "XLMRoberta": LAYERS | {"max_position_embeddings": 66},
    "ModernBert": LAYERS,
    "Llama": LAYERS | {"num_key_value_heads": 1},
    "Qwen3": LAYERS | {"num_key_value_heads": 1, "head_dim": 16},
    "Bart": {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1},
}
# with the pooling of its pipeline, and the side on which its tokenizer pads
PIPELINES = {
    "Bert": ("cls", "right"),
    "XLMRoberta": ("mean", "right"),
    "MPNet": ("mean", "right"),
    "ModernBert": ("mean", "right"),
    "Llama": ("mean", "left"),
    "Qwen3": ("lasttoken", "left"),
    "GPT2": ("lasttoken", "right"),
    "T5": ("mean", "right"),
}
OWN = {"cls": "cls", "mean": "mean-with-special", "lasttoken": "last"}


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


def write_random(name, folder):
    """Write a small transformer of an architecture, whose padding token is that of the teacher's tokenizer."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(vocab_size=300, pad_token_id=0, **ARCHITECTURES[name])
    getattr(transformers, f"{name}Model")(config).save_pretrained(folder)


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("name", ["MPNet", "DebertaV2", "Roberta", "DistilBert", "GPT2", "T5", "ModernBert", "Qwen3"])
def test_another_architecture_is_distilled_and_gives_the_vectors_that_it_gives_alone(name, teacher_folder, tmp_path):
    texts = ["The quiet boat", "", "storm " * 100, "A small violin beside every old harbour under rain."]
    write_random(name, tmp_path)
    words = AutoTokenizer.from_pretrained(teacher_folder).backend_tokenizer
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]").save_pretrained(tmp_path)  # none to pad with

    assert distill.distill(tmp_path, 16, None, "cpu").embedding.any()
    teacher = Teacher(tmp_path, MAX_LENGTH, "mean-with-special", "cpu")
    vectors = teacher.vectors(texts)
    kinds = AutoModelForTextEncoding if name == "T5" else transformers.AutoModel
    alone = kinds.from_pretrained(tmp_path, dtype=teacher.model.dtype).eval()
    for text, vector in zip(texts, vectors, strict=True):
        ids = torch.tensor([teacher.tokenizer.backend_tokenizer.encode(text).ids])
        with torch.inference_mode():
            expected = alone(input_ids=ids).last_hidden_state[0].float().mean(0).numpy()
        assert vector @ expected > 0.999 * np.linalg.norm(vector) * np.linalg.norm(expected)


@pytest.fixture(params=PIPELINES.items(), ids=lambda item: item[0])
def pipeline(request, teacher_folder, tmp_path):
    """A small teacher with a pipeline of its own, and the pooling that fits it."""
    name, (pooling, side) = request.param
    return write_pipeline(tmp_path / name, teacher_folder, name, pooling, side), OWN[pooling]


def write_pipeline(folder, teacher_folder, name, pooling, side="right", more=(), **prompts):
    """Write a sentence-transformers pipeline with a small transformer of an architecture."""
    write_random(name, folder)
    AutoTokenizer.from_pretrained(teacher_folder, padding_side=side).save_pretrained(folder)
    modules = [Transformer(str(folder)), Pooling(32, pooling), *more]
    SentenceTransformer(modules=modules, **prompts).save(str(folder))
    return folder


def check(folder, pooling, *more):
    """Check a teacher; return the notes about its own pipeline."""
    output = folder / "checked.json"
    command = ["--teacher", folder, "--max-length", MAX_LENGTH, "--pooling", pooling, "--output", output, *more]
    check_teacher.main([str(part) for part in command])
    return json.loads(output.read_text(encoding="utf-8"))["notes"]


@pytest.mark.usefixtures("precision")
def test_a_teacher_gives_the_vectors_of_its_own_pipeline(pipeline, sentences):
    folder, pooling = pipeline
    assert check(folder, pooling) == []
    texts = sorted(sentences, key=len)[:: len(sentences) // 10]
    expected = SentenceTransformer(str(folder), device="cpu").encode(texts)
    assert cosines(Teacher(folder, MAX_LENGTH, pooling, "cpu").vectors(texts), expected).min() > 0.999


def test_a_difference_from_the_teachers_own_pipeline_is_noted(teacher_folder, tmp_path):
    asks = {"prompts": {"query": "query: ", "document": ""}}
    folder = write_pipeline(tmp_path / "cls", teacher_folder, "Bert", "cls", more=[Normalize()], **asks)
    assert check(folder, "cls") == check(folder, "cls", "--prompt", "query: ") == []
    (note,) = check(folder, "mean")
    assert "cls" in note and "mean" in note
    (note,) = check(folder, "cls", "--prompt", "passage: ")
    assert "'query: '" in note and "'passage: '" in note
    wide = {"more": [Dense(32, 8)], "prompts": asks["prompts"], "default_prompt_name": "query"}
    folder = write_pipeline(tmp_path / "wide", teacher_folder, "Bert", "mean", **wide)
    layer, prompt = check(folder, "mean")
    assert "Dense" in layer and "'query: '" in prompt
    assert len(check(folder, "mean", "--prompt", "query: ")) == 1
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")
    (note,) = check(folder, "mean")
    assert "2_Dense/pytorch_model.bin" in note


def test_a_teacher_whose_pipeline_reads_other_text_is_refused(teacher_folder, tmp_path):
    folder = write_pipeline(tmp_path / "upper", teacher_folder, "Bert", "mean")
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.word_embeddings.weight"] *= 10  # so that the vectors of other tokens are clearly others
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    AutoTokenizer.from_pretrained(folder, do_lower_case=False).save_pretrained(folder)
    settings = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
    assert check(folder, "mean") == []
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings | {"do_lower_case": True}))
    with pytest.raises(InputError, match=str(folder)):
        check(folder, "mean")


def test_no_code_of_a_teachers_folder_runs(teacher_folder, tmp_path):
    folder = write_pipeline(tmp_path / "code", teacher_folder, "Bert", "mean")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[1]["type"] = "own.Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (note,) = check(folder, "mean")
    assert str(tmp_path) not in note and not (tmp_path / "ran").exists()


def test_the_first_token_of_a_decoder_is_no_vector_of_a_text(teacher_folder, tmp_path):
    folder = write_pipeline(tmp_path / "decoder", teacher_folder, "Qwen3", "cls")
    with pytest.raises(InputError, match=r"teacher\.pooling cls"):
        check(folder, "cls")


def test_an_encoder_decoder_other_than_t5_is_refused(teacher_folder, tmp_path):
    write_random("Bart", tmp_path)
    AutoTokenizer.from_pretrained(teacher_folder).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="bart"):
        Teacher(tmp_path, MAX_LENGTH, "mean", "cpu")


def test_the_positions_that_roberta_leaves_to_padding_are_not_counted(teacher_folder, tmp_path):
    config = transformers.RobertaConfig(vocab_size=300, **ARCHITECTURES["Roberta"])
    transformers.RobertaModel(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(teacher_folder).save_pretrained(tmp_path)
    Teacher(tmp_path, 64, "mean", "cpu")
    with pytest.raises(InputError, match=r"65.*64"):
        Teacher(tmp_path, 65, "mean", "cpu")


@pytest.mark.parametrize("pooling", ["cls", "mean", "lasttoken"])
def test_a_tokenizer_that_pads_before_the_text_changes_no_vector(copied, sentences, pooling):
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
