"""Sentence shards and the teacher's embeddings of them, read and checked."""

from pathlib import Path

import numpy as np
import polars

from lib.command import InputError, first_line


def read_sentences(shard: Path) -> list[str]:
    """Read a sentence shard.

    Raises:
        InputError: the file is damaged, empty, has no text column, or a row has no text.
    """
    try:
        sentences = polars.read_parquet(shard)["text"].to_list()
    except (polars.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{shard}: expected a parquet file with a column text, found {first_line(error)}") from error
    if not sentences:
        raise InputError(f"{shard}: expected sentences, found none")
    if None in sentences:
        raise InputError(f"{shard}: row {sentences.index(None)}: expected a sentence, found none")
    return sentences


def shard_path(folder: Path, number: int, ending: str) -> Path:
    """Where a shard is in a folder of shards."""
    return folder / f"{number:05d}.{ending}"


def read_sample(folder: Path, count: int) -> tuple[list[str], list[int]]:
    """The first ``count`` sentences of a folder of shards, and the rows of each shard that holds one of them.

    Raises:
        InputError: a shard is missing, damaged or empty.
    """
    sentences: list[str] = []
    rows: list[int] = []
    while len(sentences) < count:
        shard = read_sentences(shard_path(folder, len(rows), "parquet"))
        sentences += shard
        rows.append(len(shard))
    return sentences[:count], rows


def read_embeddings(shard: Path, rows: int) -> np.ndarray:
    """Map a shard of embeddings, ``[rows, dimensions]`` float16.

    Raises:
        InputError: the file is damaged, its rows are not as many as its sentences, or one is not finite.
    """
    try:
        embeddings = np.load(shard, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{shard}: expected a whole npy file, found {first_line(error)}") from error
    if embeddings.ndim != 2 or len(embeddings) != rows:
        raise InputError(f"{shard}: expected {rows} rows, one a sentence, found the shape {embeddings.shape}")
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        raise InputError(f"{shard}: row {bad[0]}: expected a finite embedding, found another")
    return embeddings
