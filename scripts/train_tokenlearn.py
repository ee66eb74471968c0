"""Train a distilled model with tokenlearn's released trainer on the teacher's embeddings, for comparison."""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from model2vec import StaticModel
from tokenlearn import pretrain
from tokenlearn.train import train_model
from tqdm import tqdm

from lib.job.command import InputError, run
from lib.job.device import add_device_arguments, device_name, job_device
from lib.job.files import sha256, write_json
from lib.job.progress import say
from lib.job.provenance import versions
from lib.shards import each_shard, read_sample
from lib.static_model import load_stage, save_static_model, with_vectors

TINY = 1e-9  # of a vector that is negligible but has a direction


class Bar(tqdm):
    """A bar that is not refreshed with each step's loss, unlike tokenlearn's: a log would get a line for each step."""

    def set_description_str(self, desc: str | None = None, refresh: bool = True) -> None:
        """Set the description, without a refresh."""
        super().set_description_str(desc, refresh=False)


pretrain.tqdm = Bar
pretrain.KeyboardInterrupt = ()  # it would catch an interrupt, and save what is half trained as if it were not


def train_tokenlearn(
    model: StaticModel, sentences: list[str], embeddings: np.ndarray, seed: int, device: str
) -> StaticModel:
    """Train with tokenlearn: mean squared error to the embeddings' principal components, through a linear head.

    Batch size, learning rate, held-out sentences and early stopping are tokenlearn's own.

    Args:
        model: the initial model.
        sentences: the sentences to train on.
        embeddings: ``[sentences, teacher's dimensions]`` float32.
        seed: of the head's weights and of the order of the sentences.
        device: ``cpu`` or ``cuda``.

    Raises:
        InputError: the teacher has fewer dimensions than the model, or a trained vector is not finite.
    """
    if embeddings.shape[1] < model.dim:
        raise InputError(
            f"tokenlearn: expected at least {model.dim} dimensions of the teacher, found {embeddings.shape[1]}"
        )
    zero = ~model.embedding.any(axis=1)  # unknown and padding tokens; tokenlearn divides vectors by their length
    initial = with_vectors(model, np.where(zero[:, None], np.float32(TINY), model.embedding))
    torch.manual_seed(seed)
    vectors = train_model(initial, sentences, embeddings, device=device, pca_dims=model.dim).embedding
    vectors[zero] = 0
    if not np.isfinite(vectors).all():
        raise InputError("tokenlearn: expected finite vectors, found NaN or infinity")
    return with_vectors(model, vectors)


def main(argv: list[str]) -> None:
    """Train one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", type=Path, required=True, help="the initial static model")
    parser.add_argument("--sentences", type=Path, required=True, help="the folder of the sentence shards")
    parser.add_argument("--count", type=int, required=True, help="number of sentences to use, from the first shard on")
    parser.add_argument("--embeddings", type=Path, required=True, help="the folder of the teacher's embedding shards")
    parser.add_argument("--seed", type=int, required=True)
    add_device_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    args = parser.parse_args(argv)
    torch.use_deterministic_algorithms(True, warn_only=True)
    device = job_device(args)

    model = load_stage(args.student)
    sentences, shards = read_sample(args.sentences, args.count)
    parts = list(each_shard(args.embeddings, args.sentences, shards))
    embeddings = np.concatenate(parts)[: args.count].astype(np.float32)
    start = time.monotonic()
    save_static_model(train_tokenlearn(model, sentences, embeddings, args.seed, device), args.output)
    say(f"tokenlearn: {len(sentences):,} sentences in {time.monotonic() - start:,.0f} s")
    report = {
        "seed": args.seed,
        "model_sha256": sha256(args.output / "model.safetensors"),
        "student_sha256": sha256(args.student / "model.safetensors"),
        "device": device_name(device),
        "versions": versions("tokenlearn", "torch", "numpy", "model2vec"),
    }
    write_json(args.output / "training.json", report)


if __name__ == "__main__":
    run(main)
