"""Train a static model to reproduce target embeddings of the sampled sentences.

``pretrained`` learns the teacher's embeddings; a born-again generation starts afresh from ``distilled`` and learns the
embeddings of the generation before it (Furlanello et al. 2018). What differs is where the targets come from.
"""

import argparse
import copy
import importlib.metadata
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from model2vec import StaticModel
from torch import Tensor
from torch.nn.functional import embedding_bag

from lib.command import InputError, run
from lib.device import device_name, job_device
from lib.files import scratch, sha256, write_json
from lib.held_out import held_out
from lib.losses import contrastive_loss, similarity_loss
from lib.progress import progress, say
from lib.shards import RowsOnDisk, read_embeddings, read_sample, shard_path
from lib.static_model import SENTENCES_AT_ONCE, load_static_model, save_static_model, tokenize, with_vectors


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


class SharedTable(torch.nn.Module):
    """A table whose rows several tokens share, each token with a weight of its own; averaged over a sentence's tokens.

    Rows and weights are learned; which token has which row is not.
    """

    def __init__(self, vectors: np.ndarray, weights: np.ndarray, mapping: np.ndarray) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(vectors, dtype=torch.float32))
        self.weights = torch.nn.Parameter(torch.tensor(weights, dtype=torch.float32))
        self.register_buffer("mapping", torch.tensor(mapping, dtype=torch.int64))

    def forward(self, tokens: Tensor, offsets: Tensor) -> Tensor:
        """Average sentences given as flat token ids and the places where each begins."""
        total = embedding_bag(
            self.mapping[tokens],
            self.weight,
            offsets,
            mode="sum",
            per_sample_weights=self.weights[tokens],
            include_last_offset=True,
        )
        return total / offsets.diff()[:, None]


class Student(torch.nn.Module):
    """A static model: a table, averaged over a sentence's tokens; in a contrastive training, with a linear head."""

    def __init__(self, model: StaticModel, head: bool) -> None:
        super().__init__()
        if model.token_mapping is not None:
            self.table = SharedTable(model.embedding, model.weights, model.token_mapping)
        else:
            vectors = torch.tensor(model.embedding, dtype=torch.float32)
            self.table = torch.nn.EmbeddingBag.from_pretrained(
                vectors, freeze=False, mode="mean", sparse=True, include_last_offset=True
            )
        self.head = torch.nn.Linear(model.dim, model.dim) if head else torch.nn.Identity()

    def forward(self, tokens: Tensor, offsets: Tensor) -> Tensor:
        """Embed sentences given as flat token ids and the places where each begins: ``[sentences, dimensions]``."""
        return self.head(self.table(tokens, offsets))


def gather(tokens: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """The flat token ids of some rows and the places where each begins, without a loop over them."""
    lengths = offsets[rows + 1] - offsets[rows]
    ends = np.cumsum(lengths)
    index = np.arange(ends[-1]) + np.repeat(offsets[rows] - (ends - lengths), lengths)
    return torch.from_numpy(tokens[index].astype(np.int64)), torch.from_numpy(np.concatenate([[0], ends]))


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

    Adam on the rows of the table that a batch touches (sparse), or on all where tokens share rows; the learning rate
    decayed linearly to nothing; the vectors of the best epoch, by the loss on held-out sentences, are returned.

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

    student = Student(model, head=recipe.loss == "contrastive").to(device)
    adam = torch.optim.Adam if isinstance(student.table, SharedTable) else torch.optim.SparseAdam
    optimizers = [adam(list(student.table.parameters()), lr=recipe.learning_rate)]
    if dense := list(student.head.parameters()):
        optimizers.append(torch.optim.AdamW(dense, lr=recipe.learning_rate))
    steps = recipe.epochs * (len(training) // recipe.batch_size)
    schedules = [torch.optim.lr_scheduler.LinearLR(o, 1.0, 1e-3, total_iters=steps) for o in optimizers]

    def loss_of(batch: np.ndarray) -> Tensor:
        embedded = student(*(part.to(device) for part in gather(tokens, offsets, batch)))
        wanted = torch.from_numpy(targets[batch].astype(np.float32)).to(device)
        if recipe.loss == "contrastive":
            return contrastive_loss(embedded, wanted, recipe.temperature)
        return similarity_loss(embedded, wanted, recipe.temperature, recipe.similarity_weight)

    def work() -> Iterator[tuple[int, np.ndarray]]:
        for epoch in range(1, recipe.epochs + 1):
            for batch in batches(random.permutation(training), recipe.batch_size):
                yield epoch, batch

    def validate() -> float:
        size = min(recipe.batch_size, len(validation))
        with torch.inference_mode():
            return float(np.mean([loss_of(batch).item() for batch in batches(validation, size)]))

    curve = [{"epoch": 0, "step": 0, "train_loss": None, "validation_loss": validate(), "seconds": 0.0}]
    best, best_state, stop = curve[0]["validation_loss"], copy.deepcopy(student.state_dict()), "epochs"
    start, losses, step = time.monotonic(), [], 0
    for epoch, batch in progress(work(), steps, "train"):
        loss = loss_of(batch)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        losses.append(loss.item())
        step += 1
        if step % (steps // recipe.epochs):
            continue
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
            best, best_state = point["validation_loss"], copy.deepcopy(student.state_dict())
        elif min(p["epoch"] for p in curve if p["validation_loss"] == best) <= epoch - recipe.patience:
            stop = "patience"
            break
    report = {"curve": curve, "stop": stop, "train_sentences": len(training), "validation_sentences": kept}
    trained = {name: values.cpu().numpy() for name, values in best_state.items()}
    return with_vectors(model, trained["table.weight"], trained.get("table.weights")), report


def teacher_targets(
    folder: Path, sentences: Path, shards: int, count: int, dimensions: int | None = None
) -> RowsOnDisk:
    """The teacher's embeddings, ``[rows of the shards, its dimensions]`` float32, less the first ``count``'s mean.

    With ``dimensions`` they are reduced to as many principal components, those of the first ``count`` likewise.
    """
    paths = [shard_path(folder, i, "npy") for i in range(shards)]
    total, products, seen = np.zeros(0), np.zeros(0), 0
    for i, path in enumerate(paths):
        part = read_embeddings(path, shard_path(sentences, i, "parquet"))[: count - seen]
        if i and part.shape[1] != len(total):
            wanted = f"{len(total)} dimensions, as the first shard's"
            raise InputError(f"{path}: expected {wanted}, found {part.shape[1]}")
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


def set_up(args: argparse.Namespace) -> tuple[Recipe, str]:
    """The recipe of ``add_options`` and the device to train on, PyTorch set to be deterministic."""
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing is read before it is written
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

    model = load_static_model(args.student)
    sentences, shards = read_sample(args.sentences, args.count)
    tokens, offsets = tokenize(model, sentences)
    with scratch(args.output.with_name(f"{args.output.name}.targets")) as path:
        if args.previous:
            wanted = previous_targets(load_static_model(args.previous), sentences, path)
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
