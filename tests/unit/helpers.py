"""What several unit tests share: shards on disk and a small static model."""

from pathlib import Path

import numpy as np
import polars

import distill
import embed


def write_shard(path: Path, sentences: list[str]) -> Path:
    """Write a sentence shard as ``sentences.py`` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    polars.DataFrame({"text": sentences}).write_parquet(path)
    return path


def write_embeddings(sentences: Path, embeddings: np.ndarray) -> Path:
    """Write the embeddings of a sentence shard beside it as ``embed.py`` does."""
    embed.save_embeddings(embeddings, sentences, sentences.with_suffix(".npy"), {})
    return sentences.with_suffix(".npy")


def distilled(teacher: Path, folder: Path, dimensions: int = 16) -> Path:
    """Distill the teacher into a static model folder."""
    distill.main(["--teacher", str(teacher), "--dimensions", str(dimensions), "--output", str(folder)])
    return folder
