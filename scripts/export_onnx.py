"""Export a model to ONNX: as float32 (by model2vec), and with the int8 model's table; measure the change."""

import argparse
import logging
import tempfile
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
from model2vec import StaticModel
from model2vec.onnx import export_model_to_onnx
from onnxruntime import InferenceSession
from tokenizers import Tokenizer

from lib.cosine_change import MOST_SENTENCES, cosine_change
from lib.job.command import run
from lib.job.files import replacing, sha256, write_json
from lib.job.progress import say
from lib.plan.stage_files import ONNX_FILES
from lib.shards import read_sentences
from lib.static_model import load_stage

TEXTS_AT_ONCE = 256


def encode(session: InferenceSession, tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    """Embed texts: ``[texts, dimensions]`` float32, of unit length, or zero if a text has no known token.

    Args:
        session: one of the exported models.
        tokenizer: the model's tokenizer; its padding is switched on.
        texts: the texts; they are batched by length, because shorter ones are padded.
    """
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = {}
    tokenizer.enable_padding()
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        rows = order[start : start + TEXTS_AT_ONCE]
        batch = tokenizer.encode_batch([texts[i] for i in rows], add_special_tokens=False)
        inputs = {
            "input_ids": np.array([encoding.ids for encoding in batch], dtype=np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in batch], dtype=np.int64),
        }
        vectors.update(zip(rows, session.run(None, inputs)[0], strict=True))
    return np.stack([vectors[i] for i in range(len(texts))])


def strip(path: Path) -> None:
    """Remove the exporter's notes from a model: they hold paths of this machine."""
    model = onnx.load(path)
    graph = model.graph
    for part in [model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]:
        del part.metadata_props[:]
        part.ClearField("doc_string")
    onnx.save(model, path)


def replace_table(path: Path, table: np.ndarray, output: Path) -> None:
    """Write a float32 model again with an int8 table ``[rows, dimensions]`` in place of its own.

    As in model2vec the integers themselves are averaged; their scale is lost when the mean is normalized.
    """
    model = onnx.load(path)
    graph = model.graph
    (vectors,) = (part for part in graph.initializer if len(part.dims) == 2)
    (place,) = (i for i, node in enumerate(graph.node) if node.op_type == "Gather" and node.input[0] == vectors.name)
    vectors.CopyFrom(onnx.numpy_helper.from_array(table, vectors.name))
    found = graph.node[place].output[0]
    graph.node[place].output[0] = "int8_vectors"
    to_float = onnx.helper.make_node("Cast", ["int8_vectors"], [found], to=onnx.TensorProto.FLOAT)
    graph.node.insert(place + 1, to_float)
    onnx.save(model, output)


def export(model: StaticModel, int8: StaticModel, folder: Path) -> None:
    """Write a float32 model as ``model.onnx``, and with an int8 table as ``model_quantized.onnx``, into a folder.

    Both take ``input_ids`` and ``attention_mask``, ``[texts, tokens]`` int64, and give ``embeddings``, ``[texts,
    dimensions]`` float32. If tokens share vectors, each token's weight stays float32.

    Args:
        model: the float32 model.
        int8: the same model with an int8 table.
        folder: an existing folder.
    """
    # in the folder, because a file cannot be renamed to another file system
    with tempfile.TemporaryDirectory(dir=folder) as temporary, warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")  # of torch's exporter
        logging.disable(logging.WARNING)
        try:
            # also writes a tokenizer, a card and a config, which are not needed
            export_model_to_onnx(model, temporary)
            strip(Path(temporary) / "model.onnx")
            (Path(temporary) / "model.onnx").replace(folder / ONNX_FILES["float32"])
            replace_table(folder / ONNX_FILES["float32"], int8.embedding, folder / ONNX_FILES["int8"])
        finally:
            logging.disable(logging.NOTSET)


def main(argv: list[str]) -> None:
    """Write one model's two ONNX files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the float32 model's folder")
    parser.add_argument("--int8", type=Path, required=True, help="the int8 model's folder")
    parser.add_argument("--sentences", type=Path, required=True, help="the sentence shard to measure the change on")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    args = parser.parse_args(argv)
    sentences = read_sentences(args.sentences)[:MOST_SENTENCES]
    model, int8 = load_stage(args.model), load_stage(args.int8)
    expected = model.encode(sentences)
    report: dict = {"sentences": len(sentences), "float32_sha256": sha256(args.model / "model.safetensors")}
    with replacing(args.output) as folder:
        folder.mkdir()
        export(model, int8, folder)
        tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
        if model.max_length is not None:
            tokenizer.enable_truncation(model.max_length)
        for precision, name in ONNX_FILES.items():
            change = cosine_change(expected, encode(InferenceSession(folder / name), tokenizer, sentences))
            size = (folder / name).stat().st_size
            report[precision] = {"bytes": size, **change, "sha256": sha256(folder / name)}
            say(f"{name}: {size:,} bytes, cosine change at most {change['cosine_change_max']:.5f}")
        write_json(folder / "onnx.json", report)


if __name__ == "__main__":
    run(main)
