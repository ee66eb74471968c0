"""What several unit tests share: shards on disk and a small static model."""

from pathlib import Path

import numpy as np
import polars
import pyarrow

import distill
from lib.files import sha256, write_json
from lib.task_data import write_splits


def write_shard(path: Path, sentences: list[str]) -> Path:
    """Write a sentence shard as ``sentences.py`` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    polars.DataFrame({"text": sentences}).write_parquet(path)
    return path


def write_embeddings(sentences: Path, embeddings: np.ndarray) -> Path:
    """Write the embeddings of a sentence shard beside it as ``embed.py`` does."""
    path = sentences.with_suffix(".npy")
    np.save(path, embeddings.astype(np.float16))
    hashes = {"sha256": sha256(path), "sentences_sha256": sha256(sentences)}
    write_json(path.with_suffix(".json"), hashes | {"rows": len(embeddings), "dimensions": embeddings.shape[1]})
    return path


def write_task(path: Path, subset: str = "default", **splits: dict[str, list]) -> Path:
    """Write a task's data, each split as lists by column."""
    tables = {split: pyarrow.table(columns) for split, columns in splits.items()}
    columns = next(iter(tables.values())).column_names
    write_splits(path, [(subset, split, [table]) for split, table in tables.items()], columns)
    return path


def distilled(teacher: Path, folder: Path, dimensions: int = 16) -> Path:
    """Distill the teacher into a static model folder."""
    distill.main(["--teacher", str(teacher), "--dimensions", str(dimensions), "--output", str(folder)])
    return folder
