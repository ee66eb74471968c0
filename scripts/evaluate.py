"""Score one model on one task with mteb, and keep mteb's own JSON."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import torch
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder
from torch.utils.data import DataLoader

from lib.command import InputError, first_line, run
from lib.files import replacing
from lib.progress import progress, say
from lib.static_model import is_static_model, load_static_model
from lib.tasks import TYPES, load_task

BATCH_SIZE = 64
TEXTS_AT_ONCE = 16 * BATCH_SIZE


class Encoder(AbsEncoder):
    """A model as mteb sees it; a text that comes many times in a task is embedded once."""

    def __init__(self, embed: Callable[[list[str]], np.ndarray], name: str, revision: str) -> None:
        """Wrap a function from texts to ``[texts, dimensions]``; name and revision are what mteb writes down."""
        self.embed = embed
        self.mteb_model_meta = ModelMeta.create_empty({"name": name, "revision": revision})

    def encode(self, inputs: DataLoader, **_: Any) -> np.ndarray:
        """Embed the texts of all batches: ``[texts, dimensions]`` float32."""
        texts = [text for batch in inputs for text in batch["text"]]
        unique = {text: None for text in texts}
        place = {text: i for i, text in enumerate(unique)}
        return self.embed(list(unique)).astype(np.float32)[[place[text] for text in texts]]


def load_embedder(folder: Path, device: str) -> Callable[[list[str]], np.ndarray]:
    """The function that embeds texts: model2vec's for a static model, sentence-transformers' for a transformer.

    Raises:
        InputError: the folder holds neither.
    """
    if is_static_model(folder):
        return load_static_model(folder).encode
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model = SentenceTransformer(
            str(folder), device=device, trust_remote_code=False, model_kwargs={"use_safetensors": True}
        )
    except Exception as error:  # each library raises its own kinds for a damaged file
        raise InputError(f"model {folder}: cannot be loaded: {first_line(error)}") from error

    def embed(texts: list[str]) -> np.ndarray:
        # long texts first, as sentence-transformers would sort them: whole batches of like length
        order = np.argsort([-len(text) for text in texts], kind="stable")
        parts = np.split(order, range(TEXTS_AT_ONCE, len(order), TEXTS_AT_ONCE))
        encoded = [
            model.encode([texts[row] for row in rows], batch_size=BATCH_SIZE, show_progress_bar=False)
            for rows in progress(parts, len(texts), f"encode by {folder.name}", "texts", len)
        ]
        return np.concatenate(encoded)[np.argsort(order)]

    return embed


def main(argv: list[str]) -> None:
    """Evaluate one model on one task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the model's folder")
    parser.add_argument("--name", required=True, help="the model's name in the results")
    parser.add_argument("--revision", required=True, help="the stage, written as mteb's model revision")
    parser.add_argument("--task", required=True, help="mteb's name of the task, or a custom task's")
    parser.add_argument("--task-data", type=Path, required=True, help="folder of the task's data")
    parser.add_argument("--task-type", choices=TYPES, help="type of a custom task; without it, the task is mteb's")
    parser.add_argument("--gpu", type=int, default=0, help="GPUs of the job; a CPU serves where there is none")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="the JSON file to write")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    task = load_task(args.task, args.task_data, args.task_type)
    device = "cuda" if args.gpu and torch.cuda.is_available() else "cpu"
    encoder = Encoder(load_embedder(args.model, device), args.name, args.revision)
    result = mteb.evaluate(
        encoder, task, cache=None, overwrite_strategy="always", show_progress_bar=False, co2_tracker=False
    )
    (task_result,) = result.task_results
    if not np.isfinite(task_result.get_score()):
        raise InputError(f"task {args.task}: expected a score, found {task_result.get_score()}; are its ratings equal?")
    with replacing(args.output) as temporary:
        task_result.to_disk(temporary)
    say(f"{args.name} {args.revision} {args.task}: {100 * task_result.get_score():.2f}")


if __name__ == "__main__":
    run(main)
