"""Embed one shard of sentences with the teacher."""

import argparse
from pathlib import Path

import numpy as np
import torch

from lib.command import InputError, run
from lib.files import replacing
from lib.shards import read_sentences
from lib.teacher import POOLINGS, Teacher


def save_embeddings(embeddings: np.ndarray, sentences: Path, output: Path) -> None:
    """Write embeddings as float16, whole or not at all.

    Raises:
        InputError: a row is not finite in float16.
    """
    halves = embeddings.astype(np.float16)
    bad = np.flatnonzero(~np.isfinite(halves).all(axis=1))
    if len(bad):
        raise InputError(f"{sentences}: row {bad[0]}: expected a finite embedding from the teacher, found none")
    with replacing(output) as temporary, temporary.open("wb") as file:
        np.save(file, halves)


def main(argv: list[str]) -> None:
    """Embed one shard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=Path, required=True, help="the parquet shard")
    parser.add_argument("--teacher", type=Path, required=True, help="the teacher's folder")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--pooling", choices=POOLINGS, default="mean")
    parser.add_argument("--gpu", type=int, default=0, help="GPUs of the job; a CPU serves where there is none")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="the npy file to write")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    sentences = read_sentences(args.sentences)
    device = "cuda" if args.gpu and torch.cuda.is_available() else "cpu"
    teacher = Teacher(args.teacher, args.max_length, args.pooling, device)
    save_embeddings(teacher.embed(sentences, f"embed {args.sentences.stem}"), args.sentences, args.output)


if __name__ == "__main__":
    run(main)
