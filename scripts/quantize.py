"""Convert a model to int8 and to float16 (model2vec) and measure the change in embeddings."""

import argparse
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from model2vec.model import quantize_model

from lib.cosine_change import MOST_SENTENCES, cosine_change
from lib.job.command import InputError, run
from lib.job.files import remove, sha256, write_json
from lib.job.progress import say
from lib.shards import read_sentences
from lib.static_model import load_stage, save_static_model, with_vectors

ABSURD_CHANGE = 0.5
LIMITS = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]  # as shares of the largest absolute value of the table


def quantize(model: StaticModel, precision: str) -> StaticModel:
    """The model as ``int8`` or ``float16``; if tokens share vectors, their weights become float16."""
    quantized = quantize_model(model, quantize_to=precision)
    if quantized.weights is not None:
        quantized.weights = quantized.weights.astype(np.float16)
    return quantized


def best_limit(model: StaticModel, sentences: list[str]) -> float:
    """The absolute value to cut the table's values to before int8, at which the sentences' embeddings change least.

    model2vec's int8 has one step size for the whole table, the largest absolute value / 127. If a few large values are
    cut, all others are rounded more finely.

    Args:
        model: the float32 model.
        sentences: the largest change in cosine of their embeddings decides.
    """
    before = model.encode(sentences)
    largest = float(np.abs(model.embedding).max())

    def change(share: float) -> float:
        cut = with_vectors(model, np.clip(model.embedding, -share * largest, share * largest))
        return cosine_change(before, quantize(cut, "int8").encode(sentences))["cosine_change_max"]

    return largest * min(LIMITS, key=change)


def write_measured(source: Path, sentences: list[str], precision: str, output: Path) -> None:
    """Write a model's folder at a precision, with a report on the change in the sentences' embeddings.

    Raises:
        InputError: the change is so large that the model is useless at this precision.
    """
    model = load_stage(source)
    limit = best_limit(model, sentences) if precision == "int8" else float(np.abs(model.embedding).max())
    save_static_model(quantize(with_vectors(model, np.clip(model.embedding, -limit, limit)), precision), output)
    quantized = load_stage(output)
    change = cosine_change(model.encode(sentences), quantized.encode(sentences))
    if not change["cosine_change_mean"] < ABSURD_CHANGE:
        remove(output)
        raise InputError(
            f"model {source}: as {precision}, the cosine of its sentence embeddings to the original ones is lower by "
            f"{change['cosine_change_mean']:.2f} on average, expected less than {ABSURD_CHANGE}"
        )
    report = {
        "precision": precision,
        "float32_bytes": (source / "model.safetensors").stat().st_size,
        "bytes": (output / "model.safetensors").stat().st_size,
        "tokens": len(model.tokens),
        "dimensions": model.dim,
        "clusters": None if model.token_mapping is None else len(model.embedding),
        "limit": limit,
        "max_tokens": model.max_length,
        "max_characters": model.max_length and model.max_length * model.median_token_length,
        "sentences": len(sentences),
        **change,
        "model_sha256": sha256(output / "model.safetensors"),
        "float32_sha256": sha256(source / "model.safetensors"),
    }
    write_json(output / "quantization.json", report)
    say(f"{precision}: {report['bytes']:,} bytes, cosine change at most {report['cosine_change_max']:.5f}")


def main(argv: list[str]) -> None:
    """Write one model at both precisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the float32 model's folder")
    parser.add_argument("--sentences", type=Path, required=True, help="the sentence shard to measure the change on")
    parser.add_argument("--int8", type=Path, required=True, help="the folder to write")
    parser.add_argument("--float16", type=Path, required=True, help="the folder to write")
    args = parser.parse_args(argv)
    sentences = read_sentences(args.sentences)[:MOST_SENTENCES]
    write_measured(args.model, sentences, "int8", args.int8)
    write_measured(args.model, sentences, "float16", args.float16)


if __name__ == "__main__":
    run(main)
