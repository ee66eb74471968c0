"""The targets of a student: the embeddings of the teacher, or of the previous generation."""

from pathlib import Path

import numpy as np
from model2vec import StaticModel

from lib.job.command import InputError
from lib.shards import Rows, RowsOnDisk, SideBySide, each_shard, shard_path
from lib.static_model import SENTENCES_AT_ONCE


def targets_of_all(
    folders: list[Path], sentences: Path, shards: int, count: int, dimensions: int | None = None
) -> Rows:
    """``teacher_targets`` of one teacher, or those of several side by side.

    Raises:
        InputError: ``dimensions`` are given with several teachers.
    """
    if len(folders) > 1 and dimensions is not None:
        raise InputError(f"training: expected the loss cosine for {len(folders)} teachers, found another")
    targets = [teacher_targets(folder, sentences, shards, count, dimensions) for folder in folders]
    return targets[0] if len(targets) == 1 else SideBySide(targets)


def teacher_targets(
    folder: Path, sentences: Path, shards: int, count: int, dimensions: int | None = None
) -> RowsOnDisk:
    """The teacher's embeddings, ``[rows of the shards, its dimensions]`` float32, minus the first ``count`` rows' mean.

    With ``dimensions`` they are reduced to as many principal components of the first ``count`` rows.
    """
    paths = [shard_path(folder, i, "npy") for i in range(shards)]
    total, products, seen = np.zeros(0), np.zeros(0), 0
    for i, shard in enumerate(each_shard(folder, sentences, shards)):
        part = shard[: count - seen]
        total = part.sum(axis=0, dtype=np.float64) + (total if i else 0)
        if dimensions is not None:
            rows = part.astype(np.float32)
            products = rows.T @ rows + (products.astype(np.float64) if i else 0)
        seen += len(part)
    mean = total / seen
    if dimensions is None:
        return RowsOnDisk(paths, mean)
    variances, directions = np.linalg.eigh(products / seen - np.outer(mean, mean))
    return RowsOnDisk(paths, mean, directions[:, np.argsort(-variances, kind="stable")[:dimensions]])


def previous_targets(model: StaticModel, sentences: list[str], path: Path) -> RowsOnDisk:
    """The embeddings of a static model, ``[sentences, dimensions]`` float32, written to a file."""
    shape = (len(sentences), model.dim)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for start in range(0, len(sentences), SENTENCES_AT_ONCE):
            part = model.encode(sentences[start : start + SENTENCES_AT_ONCE], use_multiprocessing=False)
            file.write(part.astype("<f4").tobytes())
    return RowsOnDisk([path])
