"""Quantize a model to int8 (model2vec) and measure what that changes."""

import argparse
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from model2vec.model import quantize_model

from lib.command import InputError, run
from lib.files import remove, sha256, write_json
from lib.progress import say
from lib.shards import read_sentences
from lib.static_model import load_static_model, save_static_model

ABSURD_CHANGE = 0.5


def quantize(model: StaticModel) -> StaticModel:
    """The int8 model; where tokens share vectors, each token's weight as float16."""
    quantized = quantize_model(model, quantize_to="int8")
    if quantized.weights is not None:
        quantized.weights = quantized.weights.astype(np.float16)
    return quantized


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine of each row of ``left`` to the same row of ``right``, both ``[rows, dimensions]`` float."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(axis=1) / np.maximum(norms, 1e-12)


def main(argv: list[str]) -> None:
    """Quantize one model and measure what it costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the float32 model's folder")
    parser.add_argument("--sentences", type=Path, required=True, help="the parquet shard to measure the change on")
    parser.add_argument("--output", type=Path, required=True, help="the folder to make")
    args = parser.parse_args(argv)
    model = load_static_model(args.model)
    save_static_model(quantize(model), args.output)

    sentences = read_sentences(args.sentences)
    quantized = load_static_model(args.output)
    change = 1 - cosines(model.encode(sentences), quantized.encode(sentences))
    if not change.mean() < ABSURD_CHANGE:
        remove(args.output)
        raise InputError(
            f"model {args.model}: quantized, its sentence embeddings turn by a cosine of {change.mean():.2f} on "
            f"average, expected less than {ABSURD_CHANGE}"
        )
    report = {
        "float32_bytes": (args.model / "model.safetensors").stat().st_size,
        "bytes": (args.output / "model.safetensors").stat().st_size,
        "tokens": len(model.tokens),
        "dimensions": model.dim,
        "clusters": None if model.token_mapping is None else len(model.embedding),
        "sentences": len(sentences),
        "cosine_change_mean": float(change.mean()),
        "cosine_change_max": float(change.max()),
        "model_sha256": sha256(args.output / "model.safetensors"),
        "float32_sha256": sha256(args.model / "model.safetensors"),
    }
    write_json(args.output / "quantization.json", report)
    say(f"quantize: {report['bytes']:,} bytes, cosine change at most {report['cosine_change_max']:.5f}")


if __name__ == "__main__":
    run(main)
