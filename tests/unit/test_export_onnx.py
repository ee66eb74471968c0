"""ONNX files of a model: they embed as the model does, and are the same wherever they are made."""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from helpers import distilled, write_shard
from onnxruntime import InferenceSession
from tokenizers import Tokenizer

import export_onnx
import quantize
from derive import cluster
from lib.plan.stage_files import ONNX_FILES
from lib.static_model import load_static_model, save_static_model

# an unknown sign, only such, and nothing
ODD = ["The boat \N{SNOWMAN} near the harbour.", "\N{SNOWMAN}", ""]


@pytest.fixture(scope="module", params=["whole", "clustered"])
def exported(request, teacher_folder, sentences, tmp_path_factory):
    root = tmp_path_factory.mktemp("onnx")
    folder = distilled(teacher_folder, root / "whole")
    if request.param == "clustered":
        model = load_static_model(folder)
        save_static_model(cluster(model, 20, np.ones(len(model.tokens)), seed=1), root / "clustered")
        folder = root / "clustered"
    shard = write_shard(root / "sentences" / "00000.parquet", sentences)
    options = ["--model", str(folder), "--sentences", str(shard)]
    quantize.main([*options, "--int8", str(root / "int8"), "--float16", str(root / "float16")])
    export_onnx.main([*options, "--int8", str(root / "int8"), "--output", str(root / "onnx")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(root / "nowhere"))  # no place for temporary files but the folder itself
        export_onnx.main([*options, "--int8", str(root / "int8"), "--output", str(root / "again")])
    return folder, root


@pytest.mark.parametrize(("name", "close"), [("model.onnx", 1e-6), ("model_quantized.onnx", 2e-2)])
def test_the_vectors_are_the_models(exported, sentences, name, close):
    folder, root = exported
    texts = [*sentences, *ODD]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(512)
    session = InferenceSession(root / "onnx" / name)
    found = export_onnx.encode(session, tokenizer, texts)
    np.testing.assert_allclose(found, load_static_model(folder).encode(texts), atol=close)
    if name == "model_quantized.onnx":
        np.testing.assert_allclose(found, load_static_model(root / "int8").encode(texts), atol=1e-3)
    # beyond the length that a model reads, which model2vec first cuts by characters
    long = ["boat " * 600]
    np.testing.assert_allclose(
        export_onnx.encode(session, tokenizer, long), load_static_model(folder).encode(long), atol=2e-2
    )
    # also where no text of a batch has a token
    assert export_onnx.encode(session, tokenizer, ["", ""]).tolist() == np.zeros((2, 16)).tolist()


def test_the_report_says_what_int8_saves_and_changes(exported):
    report = json.loads((exported[1] / "onnx" / "onnx.json").read_text(encoding="utf-8"))
    assert report["sentences"] == 400
    assert report["float32"]["cosine_change_max"] < 1e-6
    assert 1e-6 < report["int8"]["cosine_change_mean"] < report["int8"]["cosine_change_max"] < 0.02
    assert report["int8"]["bytes"] < report["float32"]["bytes"]


def test_the_same_model_gives_the_same_bytes_and_no_path_of_this_machine(exported):
    for name in ONNX_FILES.values():
        content = (exported[1] / "onnx" / name).read_bytes()
        assert content == (exported[1] / "again" / name).read_bytes()
        assert str(Path(sys.prefix)).encode() not in content and b".py" not in content
