"""Sentence shards and the teacher's embeddings of them, read and checked."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars

from lib.job.command import InputError, first_line
from lib.job.files import read_json, sha256

MADE_BY = ["dimensions", "teacher_sha256", "max_length", "pooling", "prompt"]


def read_sentences(shard: Path) -> list[str]:
    """Read a sentence shard, and compare it with the hash in the sample's ``manifest.json``.

    Raises:
        InputError: the file is damaged, not the one in the manifest, or empty; or the text column or a text is missing.
    """
    manifest = shard.absolute().parents[1] / "manifest.json"
    try:
        if not manifest.exists():
            raise InputError(
                f"{shard}: expected its hash in {manifest}, found no such file; delete it to make it again"
            )
        hashes = read_json(manifest, ["shards"])["shards"]
        if not isinstance(hashes, dict) or hashes.get(shard.name) != sha256(shard):
            raise InputError(f"{shard}: damaged: its hash is not the one in {manifest}; delete it to make it again")
        sentences = polars.read_parquet(shard)["text"].to_list()
    except (polars.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{shard}: expected a parquet file with a column text, found {first_line(error)}") from error
    if not sentences:
        raise InputError(f"{shard}: expected sentences, found none")
    if None in sentences:
        raise InputError(f"{shard}: row {sentences.index(None)}: expected a sentence, found none")
    return sentences


def shard_path(folder: Path, number: int, ending: str) -> Path:
    """The path of a shard in a folder of shards."""
    return folder / f"{number:05d}.{ending}"


def read_sample(folder: Path, count: int) -> tuple[list[str], int]:
    """The first ``count`` sentences of a folder of shards, and how many shards hold them.

    Raises:
        InputError: a shard is missing, damaged or empty.
    """
    sentences: list[str] = []
    shards = 0
    while len(sentences) < count:
        sentences += read_sentences(shard_path(folder, shards, "parquet"))
        shards += 1
    return sentences[:count], shards


def read_embeddings(shard: Path, sentences: Path) -> np.ndarray:
    """Read a shard of embeddings, ``[rows, dimensions]`` float16.

    Args:
        shard: the npy file; beside it a JSON file with its hash and that of the sentences.
        sentences: the parquet file of its sentences.

    Raises:
        InputError: the file is damaged or was made from other sentences, or a row is not finite.
    """
    written = read_json(shard.with_suffix(".json"), ["sha256", "sentences_sha256", "rows", "dimensions"])
    if written["sentences_sha256"] != sha256(sentences):
        raise InputError(f"{shard}: not the embeddings of {sentences}; delete it to make it again")
    try:
        if written["sha256"] != sha256(shard):
            raise InputError(
                f"{shard}: damaged: its hash is not the one in {shard.stem}.json; delete it to make it again"
            )
        embeddings = np.load(shard, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{shard}: expected a complete npy file, found {first_line(error)}") from error
    if embeddings.dtype.str != "<f2" or not embeddings.flags.c_contiguous:
        order = "row" if embeddings.flags.c_contiguous else "column"
        raise InputError(f"{shard}: expected little-endian float16 row by row, found {embeddings.dtype.str} by {order}")
    shape = (written["rows"], written["dimensions"])
    if embeddings.shape != shape:
        raise InputError(f"{shard}: expected the shape {shape}, found {embeddings.shape}")
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    if len(bad):
        raise InputError(f"{shard}: row {bad[0]}: expected a finite embedding, found NaN or infinity")
    return embeddings


def each_shard(embeddings: Path, sentences: Path, count: int) -> Iterator[np.ndarray]:
    """Read shards of embeddings one after another, as ``read_embeddings`` does; all must be of one teacher.

    Args:
        embeddings: the folder of the npy files.
        sentences: the folder of the parquet files.
        count: the number of shards, from the first on.

    Raises:
        InputError: a shard is damaged, or made from other sentences or by another teacher than the first.
    """
    first: dict = {}
    for number in range(count):
        shard = shard_path(embeddings, number, "npy")
        rows = read_embeddings(shard, shard_path(sentences, number, "parquet"))
        about = read_json(shard.with_suffix(".json"), MADE_BY)
        first = first or about
        for key in MADE_BY:
            if about[key] != first[key]:
                wanted = f"{key} {first[key]!r}, as in the first shard"
                raise InputError(f"{shard}: expected {wanted}, found {about[key]!r}; delete it to make it again")
        yield rows


class RowsOnDisk:
    """The rows of npy files, one after another, read on demand: memory does not grow with their number.

    The files are not mapped, because mapped pages that were read count as memory of the process.
    """

    def __init__(self, paths: list[Path], mean: np.ndarray | None = None, directions: np.ndarray | None = None) -> None:
        """Open files of the same dtype and width.

        Args:
            paths: npy files, ``[rows, width]``, written row by row.
            mean: subtracted from each row, ``[width]``.
            directions: columns to project the rows on after that, ``[width, dimensions]``.
        """
        self.paths = paths
        self.mean = None if mean is None else mean.astype(np.float32)
        self.directions = None if directions is None else directions.astype(np.float32)
        arrays = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
        for path, array in zip(paths, arrays, strict=True):
            if (array.dtype, array.shape[1:]) != (arrays[0].dtype, arrays[0].shape[1:]) or not array.flags.c_contiguous:
                raise InputError(f"{path}: expected rows like those of {paths[0]}, found {array.dtype} {array.shape}")
        self.starts = np.cumsum([0, *map(len, arrays)])
        self.offsets = [array.offset for array in arrays]
        self.dtype = arrays[0].dtype
        self.width = arrays[0].shape[1]
        self.shape = (int(self.starts[-1]), self.width if directions is None else directions.shape[1])

    def __len__(self) -> int:
        """The number of rows."""
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Some rows in the given order, ``[len(rows), dimensions]``; float32 if a mean is subtracted."""
        values = np.empty((len(rows), self.width), self.dtype)
        stride = values.itemsize * self.width
        order = np.argsort(rows, kind="stable")
        ends = rows[order].searchsorted(self.starts)
        for part, path in enumerate(self.paths):
            places = order[ends[part] : ends[part + 1]]
            if len(places):
                where = (self.offsets[part] + stride * (rows[places] - self.starts[part])).tolist()
                with path.open("rb", buffering=0) as file:
                    for place, position in zip(places.tolist(), where, strict=True):
                        if os.preadv(file.fileno(), [values[place]], position) != stride:
                            raise InputError(
                                f"{path}: expected {stride} bytes at {position}, found the end of the file"
                            )
        if self.mean is not None:
            values = values.astype(np.float32) - self.mean
        return values if self.directions is None else values @ self.directions


class SideBySide:
    """The rows of several teachers, each at unit length, side by side.

    The cosine of two such rows is the mean of the teachers' cosines.
    """

    def __init__(self, parts: list[RowsOnDisk]) -> None:
        """Take the embeddings of the same sentences by each teacher."""
        self.parts = parts
        self.shape = (len(parts[0]), sum(part.shape[1] for part in parts))

    def __len__(self) -> int:
        """The number of rows."""
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Some rows in the given order, ``[len(rows), the teachers' dimensions]`` float32."""
        read = [part[rows] for part in self.parts]
        return np.concatenate([each / np.linalg.norm(each, axis=1, keepdims=True).clip(1e-12) for each in read], axis=1)


Rows = RowsOnDisk | SideBySide
