"""A release folder, opened by each library that its users have, in a process that has nothing else."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import made_sentences
from helpers import distilled, write_shard

import export_onnx
import quantize
from lib.static_model import load_static_model

# an unknown sign among words, only such, and nothing
ODD = ["The boat \N{SNOWMAN} near the harbour.", "\N{SNOWMAN}", ""]
TEXTS = [*(text for text, _ in made_sentences(20)), *ODD]
CLOSE = {"float32": 1e-6, "float16": 2e-3, "int8": 3e-2}
LOADERS = {
    "model2vec": """
from model2vec import StaticModel
found["float32"] = StaticModel.from_pretrained(folder).encode(texts)
found["float16"] = StaticModel.from_pretrained(folder / "float16").encode(texts)
found["int8"] = StaticModel.from_pretrained(folder / "int8").encode(texts)
found["int8, made when loaded"] = StaticModel.from_pretrained(folder, quantize_to="int8").encode(texts)
""",
    "sentence-transformers": """
from sentence_transformers import SentenceTransformer
found["float32"] = SentenceTransformer(str(folder), device="cpu").encode(texts)
found["float16, all but the zero vector"] = SentenceTransformer(str(folder / "float16"), device="cpu").encode(texts)
""",
    "mteb": """
from mteb.models.model_implementations.model2vec_models import Model2VecModel
found["float32"] = Model2VecModel(str(folder)).model.encode(texts)
found["int8"] = Model2VecModel(str(folder / "int8")).model.encode(texts)
""",
    "onnxruntime": """
from onnxruntime import InferenceSession
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.enable_padding()
encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
inputs = {"input_ids": np.array([text.ids for text in encoded], dtype=np.int64)}
inputs["attention_mask"] = np.array([text.attention_mask for text in encoded], dtype=np.int64)
(found["float32"],) = InferenceSession(folder / "onnx" / "model.onnx").run(None, inputs)
(found["int8"],) = InferenceSession(folder / "onnx" / "model_quantized.onnx").run(None, inputs)
""",
}
FRAME = """
import sys
from pathlib import Path
import numpy as np
folder, texts, found = Path(sys.argv[1]), sys.argv[3:], {}
%s
np.savez(sys.argv[2], **{name: vectors.astype(np.float32) for name, vectors in found.items()})
"""


@pytest.fixture(scope="module")
def folder(teacher_folder, sentences, tmp_path_factory):
    """A release folder without its card."""
    folder = tmp_path_factory.mktemp("release") / "m"
    distilled(teacher_folder, folder)
    path = write_shard(folder.parent / "sentences" / "a.parquet", sentences)
    model, shard = ["--model", str(folder)], ["--sentences", str(path)]
    quantize.main([*model, *shard, "--int8", str(folder / "int8"), "--float16", str(folder / "float16")])
    export_onnx.main([*model, *shard, "--output", str(folder / "onnx")])
    return folder


@pytest.mark.parametrize("library", LOADERS)
def test_a_library_alone_gives_the_models_vectors(folder, tmp_path, library):
    command = [sys.executable, "-c", FRAME % LOADERS[library], str(folder), str(tmp_path / "found.npz"), *TEXTS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = load_static_model(folder).encode(TEXTS)
    assert not expected[-2:].any()
    with np.load(tmp_path / "found.npz") as found:
        assert len(found) >= 2
        for name, vectors in found.items():
            rows = len(TEXTS) - 2 if name.endswith("zero vector") else len(TEXTS)
            close = CLOSE[name.partition(",")[0]]
            np.testing.assert_allclose(vectors[:rows], expected[:rows], atol=close, err_msg=f"{library}, {name}")
