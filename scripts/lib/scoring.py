"""Scoring a model on a task with mteb."""

from pathlib import Path
from typing import Any

import numpy as np
from mteb.abstasks import AbsTask
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder
from mteb.results import TaskResult
from threadpoolctl import threadpool_limits
from torch.utils.data import DataLoader

from lib.embedder import Embedder
from lib.job.command import InputError


def meta_of(name: str, revision: str) -> ModelMeta:
    """A model's metadata for mteb, which reads no folder of results without it."""
    return ModelMeta.create_empty({"name": name, "revision": revision})


class Encoder(AbsEncoder):
    """A model as mteb sees it; a text that comes many times in a task is embedded once."""

    def __init__(self, embed: Embedder, name: str, revision: str) -> None:
        """Wrap a function from texts to ``[texts, dimensions]``; name and revision are what mteb writes down."""
        self.embed = embed
        self.mteb_model_meta = meta_of(name, revision)

    def encode(self, inputs: DataLoader, **_: Any) -> np.ndarray:
        """Embed the texts of all batches: ``[texts, dimensions]`` float32."""
        texts = inputs.dataset[:]["text"]  # the batches come row by row, each through a table
        place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        embedded = self.embed(list(place)).astype(np.float32, copy=False)
        return embedded if len(place) == len(texts) else embedded[[place[text] for text in texts]]


def score(task: AbsTask, encoder: Encoder, predictions: Path | None = None) -> TaskResult:
    """Score a model on a task; the same inputs give the same bytes, so time and date are left out.

    Args:
        task: with its data.
        encoder: the model.
        predictions: a folder, into which mteb writes the similarities of pairs.

    Raises:
        InputError: the score is not finite.
    """
    # the classifiers' matrices are so small that a second thread of NumPy only waits; and one rounds alike everywhere
    with threadpool_limits(1, "blas"):
        # as mteb.evaluate does, which would import sentence-transformers only to check the model's type
        scores = {
            split: task.evaluate(
                encoder,
                split,
                subsets_to_run=task.hf_subsets,
                encode_kwargs={"batch_size": 32},
                prediction_folder=None if task.metadata.type == "Classification" else predictions,
            )
            for split in task.eval_splits
        }
    result = TaskResult.from_task_results(task, scores, evaluation_time=None)
    name, value = task.metadata.name, result.get_score()
    if not np.isfinite(value):
        raise InputError(f"task {name}: expected a score, found {value}; are its ratings, or its texts, all equal?")
    return result
