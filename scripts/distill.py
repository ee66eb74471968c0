"""Distill a teacher into a static model: its token embeddings, reduced by PCA, weighted by SIF (model2vec)."""

import argparse
from pathlib import Path

import numpy as np
import torch
from model2vec import StaticModel
from model2vec.distill import distill_from_model

from lib.bert_tokenizer import with_fewer_passes
from lib.job.command import InputError, first_line, run
from lib.job.device import add_device_arguments, job_device
from lib.job.progress import say
from lib.model_folder import check_folder, check_unchanged
from lib.static_model import save_static_model
from lib.transformer import load_transformer


def distill(folder: Path, dimensions: int, vocabulary: list[str] | None, device: str) -> StaticModel:
    """Distill a teacher.

    Args:
        folder: the teacher, a transformers folder with safetensors weights.
        dimensions: dimensions of the static model.
        vocabulary: words added to the teacher's own tokens.
        device: ``cpu`` or ``cuda``.

    Returns:
        A float32 static model with unit-length sentence embeddings.

    Raises:
        InputError: the teacher has fewer dimensions, its weights or token embeddings are not finite, or model2vec
            cannot distill it.
    """
    check_folder(folder, dimensions)
    # float32, because most CPUs emulate the half precision of some checkpoints
    model, tokenizer = load_transformer(folder, torch.float32)
    # model2vec would include the padding that some tokenizer.json ask for in the mean of an added word
    tokenizer.backend_tokenizer.no_padding()
    # model2vec would replace them by zeros
    damaged = [name for name, weights in model.named_parameters() if not torch.isfinite(weights).all()]
    if damaged:
        raise InputError(f"teacher {folder}: expected finite weights, found NaN or infinity in {damaged[0]}")
    try:
        student = distill_from_model(
            model, tokenizer, vocabulary=vocabulary, device=device, pca_dims=dimensions, quantize_to="float32"
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # model2vec reads the tokenizer in its own way
        kind = type(error).__name__
        raise InputError(f"teacher {folder}: cannot be distilled: {kind}: {first_line(error)}") from error
    if not np.isfinite(student.embedding).all() or not student.embedding.any():
        raise InputError(f"teacher {folder}: expected finite token embeddings, found NaN, infinity or only zeros")
    return student


def main(argv: list[str]) -> None:
    """Distill one teacher into one static model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, required=True, help="the teacher's folder")
    parser.add_argument("--checked", type=Path, required=True, help="the JSON file of check_teacher.py")
    parser.add_argument("--dimensions", type=int, required=True)
    parser.add_argument("--vocabulary", type=Path, help="a file of words to add to the teacher's tokens, one per line")
    add_device_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    args = parser.parse_args(argv)
    check_unchanged(args.teacher, args.checked)
    words = args.vocabulary.read_text(encoding="utf-8").splitlines() if args.vocabulary else None
    device = job_device(args)
    model = distill(args.teacher, args.dimensions, words, device)
    model.tokenizer = with_fewer_passes(model.tokenizer)
    # it would be the path of the teacher's folder on this machine
    model.config["tokenizer_name"] = ""
    save_static_model(model, args.output)
    say(f"distill: {len(model.tokens):,} tokens, {model.dim} dimensions")


if __name__ == "__main__":
    run(main)
