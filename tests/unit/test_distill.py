"""Distillation: added words beside a teacher's tokenizer that pads."""

import json
import shutil

import numpy as np
import pytest
from helpers import distilled, write_checked
from safetensors.numpy import load_file, save_file

import distill
from lib.job.command import InputError
from lib.job.files import HASHES
from lib.static_model import load_static_model


def test_added_words_do_not_depend_on_the_padding_of_the_teachers_tokenizer(teacher_folder, tmp_path):
    padded = shutil.copytree(teacher_folder, tmp_path / "padded")
    tokenizer = json.loads((padded / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["padding"] = {
        "strategy": {"Fixed": 24},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    (padded / "tokenizer.json").write_text(json.dumps(tokenizer))
    words = tmp_path / "words.txt"
    words.write_text("boathouse\nfieldboat\n")
    vectors = []
    for teacher in [teacher_folder, padded]:
        output = tmp_path / f"{teacher.name}-distilled"
        checked = write_checked(tmp_path / "checked.json", teacher)
        argv = ["--teacher", teacher, "--checked", checked, "--dimensions", 16, "--vocabulary", words]
        distill.main([str(part) for part in [*argv, "--output", output]])
        model = load_static_model(output)
        assert {"boathouse", "fieldboat"} <= set(model.tokens)
        vectors.append(model.embedding)
    np.testing.assert_array_equal(*vectors)


def test_a_tokenizer_with_a_token_beyond_the_table_is_refused(teacher_folder, tmp_path):
    damaged = shutil.copytree(teacher_folder, tmp_path / "damaged")
    tokenizer = json.loads((damaged / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["model"]["vocab"]["far"] = 1000
    (damaged / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(InputError, match=r"transformer .*damaged: .*1000"):
        distill.distill(damaged, 16, None, "cpu")


def test_a_static_model_with_a_token_beyond_the_table_is_refused(teacher_folder, tmp_path):
    folder = distilled(teacher_folder, tmp_path / "model")
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    words = [word for word in tokenizer["model"]["vocab"] if word.isalpha()]
    tokenizer["model"]["vocab"][words[0]] = 1000
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (folder / HASHES).unlink()
    with pytest.raises(InputError, match=r"model .*model: .*1000"):
        load_static_model(folder)


def test_a_teacher_whose_weights_are_not_finite_is_refused(teacher_folder, tmp_path):
    damaged = shutil.copytree(teacher_folder, tmp_path / "damaged")
    weights = load_file(damaged / "model.safetensors")
    name = next(name for name in weights if name.endswith("query.weight"))
    weights[name][0, 0] = np.nan
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"damaged: .*query\.weight"):
        distill.distill(damaged, 16, None, "cpu")
