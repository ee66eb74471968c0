"""Embed one shard of sentences with the teacher."""

import argparse
import importlib.metadata
import time
from pathlib import Path

import numpy as np
import torch

from lib.command import InputError, run
from lib.device import device_name, job_device
from lib.files import replacing, sha256, write_json
from lib.progress import say
from lib.shards import read_sentences
from lib.teacher import POOLINGS, Teacher


def save_embeddings(embeddings: np.ndarray, sentences: Path, output: Path, about: dict) -> None:
    """Write embeddings as float16, whole or not at all; and ``about`` with their hash into a JSON file beside them.

    Raises:
        InputError: a row is not finite in float16.
    """
    halves = embeddings.astype(np.float16)
    bad = np.flatnonzero(~np.isfinite(halves).all(axis=1))
    if len(bad):
        raise InputError(f"{sentences}: row {bad[0]}: expected a finite embedding from the teacher, found none")
    with replacing(output) as temporary, temporary.open("wb") as file:
        np.save(file, halves)
    hashes = {"sha256": sha256(output), "sentences_sha256": sha256(sentences)}
    write_json(output.with_suffix(".json"), {"rows": len(halves), "dimensions": halves.shape[1]} | hashes | about)


def main(argv: list[str]) -> None:
    """Embed one shard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=Path, required=True, help="the parquet shard")
    parser.add_argument("--teacher", type=Path, required=True, help="the teacher's folder")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--pooling", choices=POOLINGS, default="mean")
    parser.add_argument("--gpu", type=int, default=0, help="GPUs of the job; a CPU serves where there is none")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="the npy file to write; a JSON file goes beside it")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    sentences = read_sentences(args.sentences)
    device = job_device(args.gpu)
    teacher = Teacher(args.teacher, args.max_length, args.pooling, device)
    start = time.monotonic()
    embeddings = teacher.embed(sentences, f"embed {args.sentences.stem}")
    say(f"embed: {len(sentences) / (time.monotonic() - start):,.0f} sentences/s on {device}")
    about = {
        "teacher_sha256": sha256(args.teacher / "model.safetensors"),
        "max_length": args.max_length,
        "pooling": args.pooling,
        "device": device_name(device),
        "dtype": str(teacher.model.dtype).removeprefix("torch."),
        "versions": {name: importlib.metadata.version(name) for name in ["torch", "transformers", "tokenizers"]},
    }
    save_embeddings(embeddings, args.sentences, args.output, about)


if __name__ == "__main__":
    run(main)
