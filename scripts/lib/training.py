"""Train a static model to reproduce target embeddings: the loop, its settings and their arguments."""

import argparse
import copy
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from model2vec import StaticModel
from torch import Tensor

from lib.job.ahead import ahead
from lib.job.command import InputError
from lib.job.device import add_device_arguments, job_device
from lib.job.progress import progress, say
from lib.losses import contrastive_loss, similarity_loss
from lib.plan.held_out import held_out
from lib.shards import RowsOnDisk
from lib.static_model import with_vectors
from lib.student import Batch, SharedTable, Table, lay_out

LAST_RATE = 1e-3  # of the learning rate, at the last step


@dataclass(frozen=True)
class TrainingSettings:
    """The training settings; docs/config.md explains each."""

    loss: str
    temperature: float
    similarity_weight: float
    batch_size: int
    learning_rate: float
    epochs: int
    patience: int
    seed: int

    def target_dimensions(self, dimensions: int) -> int | None:
        """The dimensions that the teacher's embeddings are reduced to for a model of ``dimensions``; None: all.

        The contrastive loss compares targets and means dimension by dimension.
        """
        return dimensions if self.loss == "contrastive" else None


class Objective(torch.nn.Module):
    """The loss between a batch of means and their targets; the contrastive loss has a trained linear head."""

    def __init__(self, settings: TrainingSettings, dimensions: int, device: str) -> None:
        """Initialize the head at random, if there is one."""
        super().__init__()
        self.settings, self.contrastive = settings, settings.loss == "contrastive"
        self.head = torch.nn.Linear(dimensions, dimensions).to(device) if self.contrastive else torch.nn.Identity()
        self.optimizer = torch.optim.AdamW(self.head.parameters(), fused=True) if self.contrastive else None

    def forward(self, means: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, a scalar."""
        if self.contrastive:
            return contrastive_loss(self.head(means), targets, self.settings.temperature)
        return similarity_loss(means, targets, self.settings.temperature, self.settings.similarity_weight)

    def step(self, rate: float) -> None:
        """Update the head from its gradient."""
        if self.optimizer:
            self.optimizer.param_groups[0]["lr"] = rate
            self.optimizer.step()
            self.optimizer.zero_grad()


def batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Batches of ``size`` rows; a shorter last one is left out, because the losses compare the rows of a batch."""
    for start in range(0, len(rows) - size + 1, size):
        yield rows[start : start + size]


@dataclass(frozen=True)
class Data:
    """The sentences of a training as tokens, and their target embeddings.

    tokens: flat token ids of all sentences.
    offsets: where each sentence begins in ``tokens``, and the end.
    targets: ``[sentences, target dimensions]`` float16 or float32.
    device: where batches are moved to.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    targets: np.ndarray | RowsOnDisk
    device: str

    def read(self, batches: Iterable[np.ndarray]) -> Iterator[tuple[Batch, Tensor]]:
        """Batches of rows, laid out, with their targets; the next is prepared in a thread while one is used."""

        def prepare(rows: np.ndarray) -> tuple[Batch, Tensor]:
            targets = torch.from_numpy(self.targets[rows].astype(np.float32))
            return lay_out(self.tokens, self.offsets, rows), targets

        for batch, targets in ahead(
            prepare, batches
        ):  # moved to the GPU here, because the thread has a current GPU of its own
            yield Batch(*(part.to(self.device) for part in batch)), targets.to(self.device)


def split(
    offsets: np.ndarray, settings: TrainingSettings, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The sentences to train on and the held-out ones, of all sentences that have tokens.

    Raises:
        InputError: one of the two has too few.
    """
    rows = random.permutation(np.flatnonzero(np.diff(offsets)))
    count = held_out(len(rows))
    if count < 2:  # the losses compare sentences: with a single one they are always 0
        raise InputError(f"training: expected at least 20 sentences with tokens, found {len(rows)}")
    if len(rows) - count < settings.batch_size:
        raise InputError(
            f"training.batch_size: {settings.batch_size}, expected at most the {len(rows) - count} sentences"
        )
    return rows[count:], rows[:count]


def validate(table: Table, objective: Objective, data: Data, rows: np.ndarray) -> float:
    """The mean loss over batches of held-out sentences."""
    size = min(objective.settings.batch_size, len(rows))
    with torch.inference_mode():
        losses = [objective(table.mean(batch), targets) for batch, targets in data.read(batches(rows, size))]
    return float(np.mean([loss.item() for loss in losses]))


def train(
    model: StaticModel,
    tokens: np.ndarray,
    offsets: np.ndarray,
    targets: np.ndarray | RowsOnDisk,
    settings: TrainingSettings,
    device: str,
) -> tuple[StaticModel, dict]:
    """Train a model's vectors so that their means have the targets' neighbourhoods.

    Adam updates the rows of the table that a batch touches, or all rows if tokens share them. The learning rate decays
    linearly. The vectors of the epoch with the lowest held-out loss are returned.

    Args:
        model: the initial model, float32; it is not changed.
        tokens: flat token ids of all sentences.
        offsets: where each sentence begins in ``tokens``, and the end.
        targets: ``[sentences, target dimensions]`` float16 or float32.
        settings: the training settings.
        device: ``cpu`` or ``cuda``.

    Returns:
        The trained model, and a report with the loss curve and the reason for stopping.

    Raises:
        InputError: there are too few sentences for one batch, or the loss is not finite.
    """
    torch.manual_seed(settings.seed)
    random = np.random.default_rng(settings.seed)
    data = Data(tokens, offsets, targets, device)
    training, validation = split(offsets, settings, random)
    table = (Table if model.token_mapping is None else SharedTable)(model, device)
    objective = Objective(settings, model.dim, device)
    steps_of_epoch = len(training) // settings.batch_size
    steps = settings.epochs * steps_of_epoch
    order = (
        rows for _ in range(settings.epochs) for rows in batches(random.permutation(training), settings.batch_size)
    )

    first = validate(table, objective, data, validation)
    curve: list[dict] = [{"epoch": 0, "step": 0, "train_loss": None, "validation_loss": first, "seconds": 0.0}]
    best, best_values, stop = curve[0], copy.deepcopy(table.parameters), "epochs"
    start, losses = time.monotonic(), []
    for step, (batch, wanted) in enumerate(progress(data.read(order), steps, "train"), 1):
        rate = settings.learning_rate * (1 - (1 - LAST_RATE) * (step - 1) / steps)
        means = table.mean(batch).requires_grad_()
        loss = objective(means, wanted)
        loss.backward()
        table.step(batch, means.grad, rate)
        objective.step(rate)
        losses.append(loss.item())
        if step % steps_of_epoch:
            continue

        epoch = step // steps_of_epoch
        point = {
            "epoch": epoch,
            "step": step,
            "train_loss": float(np.mean(losses)),
            "validation_loss": validate(table, objective, data, validation),
            "seconds": round(time.monotonic() - start, 2),
        }
        if not np.isfinite([point["train_loss"], point["validation_loss"]]).all():
            raise InputError(f"training: the loss is not finite after epoch {epoch}; lower training.learning_rate")
        say(f"epoch {epoch}: loss {point['train_loss']:.4f}, held-out loss {point['validation_loss']:.4f}")
        curve.append(point)
        losses = []
        if point["validation_loss"] < best["validation_loss"]:
            best, best_values = point, copy.deepcopy(table.parameters)
        elif epoch - best["epoch"] >= settings.patience:
            stop = "patience"
            break
    report = {"curve": curve, "stop": stop, "train_sentences": len(training), "validation_sentences": len(validation)}
    return with_vectors(model, *(values.cpu().numpy() for values in best_values)), report


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that ``set_up`` reads: training settings, GPUs and threads."""
    parser.add_argument("--loss", choices=["similarity", "contrastive"], required=True)
    parser.add_argument("--temperature", type=float, required=True)
    parser.add_argument("--similarity-weight", type=float, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--patience", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    add_device_arguments(parser)


def be_deterministic() -> None:
    """Make PyTorch deterministic."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing is read before it is written


def set_up(args: argparse.Namespace) -> tuple[TrainingSettings, str]:
    """The training settings and the device to train on; PyTorch is set to be deterministic."""
    be_deterministic()
    return TrainingSettings(
        **{name: getattr(args, name) for name in TrainingSettings.__dataclass_fields__}
    ), job_device(args)
