"""The files that fastembed and transformers look for beside a model's tokenizer."""

import json
import shutil

import pytest
from helpers import distilled, make_unigram
from transformers import AutoTokenizer

from lib.static_model import load_static_model
from lib.tokenizer_files import write_tokenizer_files

TEXTS = ["The boat [PAD] \N{SNOWMAN} near the harbour.", "", "a cow " * 400]


@pytest.mark.parametrize("kind", ["WordPiece", "Unigram"])
def test_transformers_reads_the_models_tokens(teacher_folder, sentences, tmp_path, kind):
    teacher = teacher_folder if kind == "WordPiece" else make_unigram(tmp_path / "unigram", teacher_folder, sentences)
    model_folder, alone = distilled(teacher, tmp_path / "model"), tmp_path / "alone"
    alone.mkdir()
    shutil.copyfile(model_folder / "tokenizer.json", alone / "tokenizer.json")
    write_tokenizer_files(alone / "tokenizer.json", 512, alone)
    tokenizer, model = AutoTokenizer.from_pretrained(alone), load_static_model(model_folder)
    texts = [*sentences[:20], *TEXTS]
    found = tokenizer(texts, truncation=True, padding=True, return_tensors="np")
    plain = [encoding.ids for encoding in model.tokenizer.encode_batch(texts, add_special_tokens=False)]
    assert [
        row[mask == 1].tolist() for row, mask in zip(found["input_ids"], found["attention_mask"], strict=True)
    ] == plain
    assert found["input_ids"].shape == (23, 512)
    special = json.loads((alone / "special_tokens_map.json").read_text(encoding="utf-8"))
    assert special == {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    if kind == "WordPiece":
        assert (alone / "vocab.txt").read_text(encoding="utf-8").splitlines() == list(model.tokens)
