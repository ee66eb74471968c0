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


class Objective(torch.nn.Module):
    """The loss between a batch of means and their targets; a contrastive one has a linear head, which learns too."""

    def __init__(self, settings: TrainingSettings, dimensions: int, device: str) -> None:
        """Begin with a random head, where there is one."""
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
        """Let the head learn from the gradient that it has."""
        if self.optimizer:
            self.optimizer.param_groups[0]["lr"] = rate
            self.optimizer.step()
            self.optimizer.zero_grad()


def batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Runs of ``size`` rows; a last one that is shorter is left out, for the losses compare rows of a batch."""
    for start in range(0, len(rows) - size + 1, size):
        yield rows[start : start + size]


@dataclass(frozen=True)
class Data:
    """The sentences of a training as tokens, and the embeddings that their means are to reproduce.

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
        """Batches of rows, laid out, with their targets; each is prepared in a thread while the last one is used."""

        def prepare(rows: np.ndarray) -> tuple[Batch, Tensor]:
            targets = torch.from_numpy(self.targets[rows].astype(np.float32))
            return lay_out(self.tokens, self.offsets, rows), targets

        for batch, targets in ahead(prepare, batches):  # a thread has a current GPU of its own: they are moved here
            yield Batch(*(part.to(self.device) for part in batch)), targets.to(self.device)


def split(
    offsets: np.ndarray, settings: TrainingSettings, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The sentences to learn from and those that are held out, of all that have tokens.

    Raises:
        InputError: there are too few of either.
    """
    rows = random.permutation(np.flatnonzero(np.diff(offsets)))
    count = held_out(len(rows))
    if count < 2:  # the losses compare sentences: of a single one they are always 0
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

    Adam on the rows of the table that a batch touches, or on all where tokens share rows; the learning rate decays
    linearly; the vectors of the best epoch, by the loss on held-out sentences, are returned.

    Args:
        model: what to begin from, float32; it stays as it is.
        tokens: flat token ids of all sentences.
        offsets: where each sentence begins in ``tokens``, and the end.
        targets: ``[sentences, target dimensions]`` float16 or float32.
        settings: loss, temperature and the rest.
        device: ``cpu`` or ``cuda``.

    Returns:
        The trained model, and a report: curve and stop reason.

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
    """Let PyTorch give the same bytes each time."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing is read before it is written


def set_up(args: argparse.Namespace) -> tuple[TrainingSettings, str]:
    """The training settings and the device to train on; PyTorch is set to be deterministic."""
    be_deterministic()
    return TrainingSettings(
        **{name: getattr(args, name) for name in TrainingSettings.__dataclass_fields__}
    ), job_device(args)
