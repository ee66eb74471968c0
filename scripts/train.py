"""Train a static model to reproduce target embeddings of the sampled sentences.

``pretrained`` learns the teacher's embeddings; a born-again generation starts afresh from ``distilled`` and learns the
embeddings of the generation before it (Furlanello et al. 2018). What differs is where the targets come from.
"""

import argparse
import copy
import importlib.metadata
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from model2vec import StaticModel
from torch import Tensor

from lib.job.ahead import ahead
from lib.job.command import InputError, run
from lib.job.device import device_name, job_device
from lib.job.files import scratch, sha256, write_json
from lib.job.progress import progress, say
from lib.losses import contrastive_loss, similarity_loss
from lib.plan.held_out import held_out
from lib.shards import RowsOnDisk, each_shard, read_sample, shard_path
from lib.static_model import SENTENCES_AT_ONCE, load_stage, save_static_model, tokenize, with_vectors
from lib.table import Batch, SharedTable, Table, lay_out

LAST_RATE = 1e-3  # of the learning rate, at the last step


@dataclass(frozen=True)
class Recipe:
    """The settings of a training; the config's comments say what each does."""

    loss: str
    temperature: float
    similarity_weight: float
    batch_size: int
    learning_rate: float
    epochs: int
    patience: int
    seed: int


def batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Runs of ``size`` rows; a last one that is shorter is left out, for the losses compare rows of a batch."""
    for start in range(0, len(rows) - size + 1, size):
        yield rows[start : start + size]


def train(
    model: StaticModel,
    tokens: np.ndarray,
    offsets: np.ndarray,
    targets: np.ndarray | RowsOnDisk,
    recipe: Recipe,
    device: str,
) -> tuple[StaticModel, dict]:
    """Train a model's vectors so that their means have the targets' neighbourhoods.

    Adam on the rows of the table that a batch touches, or on all where tokens share rows; in a contrastive training a
    linear head between the means and the loss; the learning rate decayed linearly to nothing; the vectors of the best
    epoch, by the loss on held-out sentences, are returned. Batches are read and laid out ahead, in a thread.

    Args:
        model: what to begin from, float32; it stays as it is.
        tokens: flat token ids of all sentences.
        offsets: where each sentence begins in ``tokens``, and the end.
        targets: ``[sentences, target dimensions]`` float16 or float32.
        recipe: loss, temperature and the rest.
        device: ``cpu`` or ``cuda``.

    Returns:
        The trained model, and a report: curve and stop reason.

    Raises:
        InputError: there are too few sentences for one batch, or the loss is not finite.
    """
    torch.manual_seed(recipe.seed)
    random = np.random.default_rng(recipe.seed)
    rows = random.permutation(np.flatnonzero(np.diff(offsets)))
    kept = held_out(len(rows))
    validation, training = rows[:kept], rows[kept:]
    if kept < 2:  # the losses compare sentences: of a single one they are always 0
        raise InputError(f"training: expected at least 20 sentences with tokens, found {len(rows)}")
    if len(training) < recipe.batch_size:
        raise InputError(f"training.batch_size: {recipe.batch_size}, expected at most the {len(training)} sentences")

    table = (Table if model.token_mapping is None else SharedTable)(model, device)
    contrastive = recipe.loss == "contrastive"
    head = (torch.nn.Linear(model.dim, model.dim) if contrastive else torch.nn.Identity()).to(device)
    head_optimizer = torch.optim.AdamW(head.parameters(), fused=True) if contrastive else None
    steps = recipe.epochs * (len(training) // recipe.batch_size)

    def prepare(rows: np.ndarray) -> tuple[Batch, Tensor]:
        return lay_out(tokens, offsets, rows), torch.from_numpy(targets[rows].astype(np.float32))

    def prepared(batches: Iterable[np.ndarray]) -> Iterator[tuple[Batch, Tensor]]:
        for batch, wanted in ahead(prepare, batches):  # a thread has a current GPU of its own: they are moved here
            yield Batch(*(part.to(device) for part in batch)), wanted.to(device)

    def loss_of(embedded: Tensor, wanted: Tensor) -> Tensor:
        if contrastive:
            return contrastive_loss(head(embedded), wanted, recipe.temperature)
        return similarity_loss(embedded, wanted, recipe.temperature, recipe.similarity_weight)

    def work() -> Iterator[np.ndarray]:
        for _ in range(recipe.epochs):
            yield from batches(random.permutation(training), recipe.batch_size)

    def learn(batch: Batch, wanted: Tensor, rate: float) -> float:
        embedded = table.mean(batch).requires_grad_()
        loss = loss_of(embedded, wanted)
        loss.backward()
        table.step(batch, embedded.grad, rate)
        if head_optimizer:
            head_optimizer.param_groups[0]["lr"] = rate
            head_optimizer.step()
            head_optimizer.zero_grad()
        return loss.item()

    def validate() -> float:
        size = min(recipe.batch_size, len(validation))
        with torch.inference_mode():
            losses = [loss_of(table.mean(batch), wanted) for batch, wanted in prepared(batches(validation, size))]
        return float(np.mean([loss.item() for loss in losses]))

    curve: list[dict] = [{"epoch": 0, "step": 0, "train_loss": None, "validation_loss": validate(), "seconds": 0.0}]
    best, best_values, stop = curve[0]["validation_loss"], copy.deepcopy(table.parameters), "epochs"
    start, losses = time.monotonic(), []
    for step, part in enumerate(progress(prepared(work()), steps, "train"), 1):
        losses.append(learn(*part, recipe.learning_rate * (1 - (1 - LAST_RATE) * (step - 1) / steps)))
        if step % (steps // recipe.epochs):
            continue
        epoch = step // (steps // recipe.epochs)
        point = {
            "epoch": epoch,
            "step": step,
            "train_loss": float(np.mean(losses)),
            "validation_loss": validate(),
            "seconds": round(time.monotonic() - start, 2),
        }
        if not np.isfinite([point["train_loss"], point["validation_loss"]]).all():
            raise InputError(f"training: the loss is not finite after epoch {epoch}; lower training.learning_rate")
        say(f"epoch {epoch}: loss {point['train_loss']:.4f}, held-out loss {point['validation_loss']:.4f}")
        curve.append(point)
        losses = []
        if point["validation_loss"] < best:
            best, best_values = point["validation_loss"], copy.deepcopy(table.parameters)
        elif min(p["epoch"] for p in curve if p["validation_loss"] == best) <= epoch - recipe.patience:
            stop = "patience"
            break
    report = {"curve": curve, "stop": stop, "train_sentences": len(training), "validation_sentences": kept}
    return with_vectors(model, *(values.cpu().numpy() for values in best_values)), report


def teacher_targets(
    folder: Path, sentences: Path, shards: int, count: int, dimensions: int | None = None
) -> RowsOnDisk:
    """The teacher's embeddings, ``[rows of the shards, its dimensions]`` float32, less the first ``count``'s mean.

    With ``dimensions`` they are reduced to as many principal components, those of the first ``count`` likewise.
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
    """The embeddings of a static model, ``[sentences, dimensions]`` float32, by way of a file."""
    shape = (len(sentences), model.dim)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for start in range(0, len(sentences), SENTENCES_AT_ONCE):
            part = model.encode(sentences[start : start + SENTENCES_AT_ONCE], use_multiprocessing=False)
            file.write(part.astype("<f4").tobytes())
    return RowsOnDisk([path])


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a training: the recipe's, GPUs and threads."""
    parser.add_argument("--loss", choices=["similarity", "contrastive"], required=True)
    parser.add_argument("--temperature", type=float, required=True)
    parser.add_argument("--similarity-weight", type=float, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--patience", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--gpu", type=int, default=0, help="GPUs of the job; a CPU serves where there is none")
    parser.add_argument("--threads", type=int, default=1)


def be_deterministic(threads: int) -> None:
    """Let PyTorch have so many threads, and give the same bytes each time."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing is read before it is written


def set_up(args: argparse.Namespace) -> tuple[Recipe, str]:
    """The recipe of ``add_options`` and the device to train on, PyTorch set to be deterministic."""
    be_deterministic(args.threads)
    return Recipe(**{name: getattr(args, name) for name in Recipe.__dataclass_fields__}), job_device(args.gpu)


def main(argv: list[str]) -> None:
    """Train one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", type=Path, required=True, help="the static model to begin from")
    parser.add_argument("--sentences", type=Path, required=True, help="the folder of the parquet shards")
    parser.add_argument("--count", type=int, required=True, help="sentences to use, from the first shard on")
    targets = parser.add_mutually_exclusive_group(required=True)
    targets.add_argument("--embeddings", type=Path, help="the folder of the teacher's npy shards")
    targets.add_argument("--previous", type=Path, help="the static model whose embeddings are the targets")
    add_options(parser)
    parser.add_argument("--output", type=Path, required=True, help="the folder to make")
    args = parser.parse_args(argv)
    recipe, device = set_up(args)

    model = load_stage(args.student)
    sentences, shards = read_sample(args.sentences, args.count)
    tokens, offsets = tokenize(model, sentences)
    with scratch(args.output.with_name(f"{args.output.name}.targets")) as path:
        if args.previous:
            wanted = previous_targets(load_stage(args.previous), sentences, path)
        else:
            reduced = model.dim if recipe.loss == "contrastive" else None  # this loss compares with them directly
            wanted = teacher_targets(args.embeddings, args.sentences, shards, args.count, reduced)
        del sentences
        say(f"train: {args.count:,} sentences, {len(tokens):,} tokens, targets of {wanted.shape[1]} dimensions")
        trained, report = train(model, tokens, offsets, wanted, recipe, device)
    save_static_model(trained, args.output)
    report |= {
        "recipe": asdict(recipe),
        "targets": "previous generation" if args.previous else "teacher",
        "model_sha256": sha256(args.output / "model.safetensors"),
        "student_sha256": sha256(args.student / "model.safetensors"),
        "device": device_name(device),
        "versions": {name: importlib.metadata.version(name) for name in ["torch", "numpy", "model2vec", "tokenizers"]},
    }
    write_json(args.output / "training.json", report)


if __name__ == "__main__":
    run(main)
