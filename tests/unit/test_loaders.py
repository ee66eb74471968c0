"""A release folder, opened by each library that its users have, in a process that has nothing else."""

import json
import subprocess
import sys
from textwrap import indent

import numpy as np
import pytest
from helpers import distilled, make_unigram, write_shard

import export_onnx
import quantize
from lib.static_model import load_static_model, save_static_model, with_vectors
from synthetic import synthetic_sentences

# padding and an unknown sign among words, only these, and nothing
ODD = ["The boat [PAD] \N{SNOWMAN} near the harbour.", "[PAD] \N{SNOWMAN}", ""]
LONG = "a cow old " * 200 + "violin song " * 200  # the songs are beyond the tokens that are read
TEXTS = [*(text for text, _ in synthetic_sentences(20)), LONG, *ODD]
CLOSE = {"float32": 1e-5, "float16": 2e-3, "int8": 3e-2}
LOADERS = {
    "model2vec": """
from model2vec import StaticModel
found["float32"] = StaticModel.from_pretrained(folder).encode(texts)
found["float16"] = StaticModel.from_pretrained(folder / "float16").encode(texts)
found["int8"] = StaticModel.from_pretrained(folder, subfolder="int8").encode(texts)
found["int8, made when loaded"] = StaticModel.from_pretrained(folder, quantize_to="int8").encode(texts)
found["first half"] = StaticModel.from_pretrained(folder, dimensionality=8).encode(texts)
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
    "numpy": """
from safetensors.numpy import load_file
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
encoded = tokenizer.encode_batch(texts, add_special_tokens=False)
for name, part in [("float32", folder), ("int8", folder / "int8")]:
    table = load_file(part / "model.safetensors")["embeddings"]
    sums = np.stack([table[text.ids].sum(axis=0, dtype=np.float32) for text in encoded])
    found[name] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
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
import json, sys
from pathlib import Path
import numpy as np
texts = json.loads(sys.argv[1])
for folder in map(Path, sys.argv[2:]):
    found = {}
%s
    np.savez(folder.parent / "found.npz", **{name: vectors.astype(np.float32) for name, vectors in found.items()})
"""


@pytest.fixture(scope="module")
def folders(teacher_folder, sentences, tmp_path_factory):
    """Release folders without their cards, of models in which unknown tokens had vectors."""
    folders = []
    for kind in ["WordPiece", "Unigram"]:
        root = tmp_path_factory.mktemp(kind)
        teacher = teacher_folder if kind == "WordPiece" else make_unigram(root / "unigram", teacher_folder, sentences)
        distilled(teacher, root / "distilled")
        model = load_static_model(root / "distilled")
        folder = root / "m"
        save_static_model(with_vectors(model, model.embedding + 0.5), folder)
        path = write_shard(root / "sentences" / "a.parquet", sentences)
        options = ["--model", str(folder), "--sentences", str(path)]
        quantize.main([*options, "--int8", str(folder / "int8"), "--float16", str(folder / "float16")])
        export_onnx.main([*options, "--int8", str(folder / "int8"), "--output", str(folder / "onnx")])
        folders.append(folder)
    return folders


@pytest.mark.parametrize("library", LOADERS)
def test_a_library_alone_gives_the_models_vectors(folders, tmp_path, library):
    code = FRAME % indent(LOADERS[library], " " * 4)
    command = [sys.executable, "-c", code, json.dumps(TEXTS), *map(str, folders)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for folder in folders:
        model = load_static_model(folder)
        assert not model.embedding[[model.unk_token_id, model.tokenizer.token_to_id("[PAD]")]].any()
        expected = model.encode(TEXTS)
        none = ~expected.any(axis=1)
        assert none[-1] and not none[:-2].any()
        assert not np.allclose(model.encode([LONG], max_length=None), expected[20], atol=1e-3)
        half = with_vectors(model, model.embedding[:, :8]).encode(TEXTS)
        with np.load(folder.parent / "found.npz") as found:
            assert len(found) >= 2
            for name, vectors in found.items():
                rows = ~none if name.endswith("zero vector") else slice(None)
                wanted = half if name == "first half" else expected
                close = CLOSE.get(name.partition(",")[0], 1e-5)
                message = f"{library}, {name}, {folder}"
                np.testing.assert_allclose(vectors[rows], wanted[rows], atol=close, err_msg=message)
