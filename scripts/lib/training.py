"""Train a static model to reproduce target embeddings: the loop, its settings and their arguments."""

import argparse
import copy
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from model2vec import StaticModel
from torch import Tensor
from torch.nn.functional import embedding_bag
from torch.optim.adamw import adamw

from lib.alignment import ROWS_AT_ONCE, align, in_context, mapped, shrink
from lib.checkpoint import Checkpoint
from lib.job.ahead import ahead
from lib.job.command import InputError
from lib.job.device import add_device_arguments, job_device
from lib.job.progress import progress, say
from lib.losses import contrastive_loss, cosine_loss
from lib.plan.held_out import held_out
from lib.shards import Rows
from lib.static_model import with_vectors
from lib.student import ADAM, Batch, SharedTable, Table, lay_out

ADAMW = ADAM | {"weight_decay": 0.01}
LAST_RATE = 1e-3  # of the learning rate, at the last step
SECONDS_BETWEEN_CHECKPOINTS = 60


@dataclass(frozen=True)
class TrainingSettings:
    """The training settings; docs/config.md explains each."""

    loss: str
    temperature: float
    batch_size: int
    learning_rate: float
    epochs: int
    patience: int
    seed: int
    initial: str
    shrinkage: float

    def target_dimensions(self, dimensions: int) -> int | None:
        """The dimensions that the teacher's embeddings are reduced to for a model of ``dimensions``; None: all.

        The contrastive loss compares targets and means dimension by dimension.
        """
        return dimensions if self.loss == "contrastive" else None


@dataclass(frozen=True)
class Context:
    """What the first teacher makes of each token in the sentences, for the setting ``initial: contextual``.

    sums: of its hidden states by token, ``[tokens, teacher dimensions]`` float32.
    counts: of the tokens, ``[tokens]`` float32.
    pieces: of how many of the teacher's tokens each is, ``[tokens]`` float32.
    embeddings: of the sentences by this teacher, ``[sentences, teacher dimensions]``.
    """

    sums: np.ndarray
    counts: np.ndarray
    pieces: np.ndarray
    embeddings: np.ndarray | Rows


class Objective(torch.nn.Module):
    """The loss between a batch of means and their targets.

    The contrastive loss has a trained linear head, the cosine loss a fixed rotation to where the targets are.
    """

    def __init__(self, settings: TrainingSettings, dimensions: int, device: str) -> None:
        """Initialize the head at random, if there is one, and AdamW's moments."""
        super().__init__()
        self.settings, self.contrastive = settings, settings.loss == "contrastive"
        self.rotation = torch.zeros(0)
        self.head = torch.nn.Linear(dimensions, dimensions).to(device) if self.contrastive else torch.nn.Identity()
        self.parameters_of_head = list(self.head.parameters())
        self.moments = [
            [torch.zeros_like(values.data), torch.zeros_like(values.data), torch.zeros((), device=device)]
            for values in self.parameters_of_head
        ]

    def forward(self, means: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, a scalar."""
        if self.contrastive:
            return contrastive_loss(self.head(means), targets, self.settings.temperature)
        return cosine_loss(means @ self.rotation, targets)

    def step(self, rate: float) -> None:
        """Update the head from its gradient, as PyTorch's AdamW does."""
        if not self.contrastive:
            return
        first, second, steps = map(list, zip(*self.moments, strict=True))
        gradients = [values.grad for values in self.parameters_of_head]
        with torch.no_grad():
            adamw(self.parameters_of_head, gradients, first, second, [], steps, fused=True, lr=rate, **ADAMW)
        self.head.zero_grad()


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
    targets: np.ndarray | Rows
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


def split(offsets: np.ndarray, settings: TrainingSettings) -> tuple[np.ndarray, np.ndarray]:
    """The sentences to train on and the held-out ones, of all sentences that have tokens.

    Raises:
        InputError: one of the two has too few.
    """
    rows = np.random.default_rng(settings.seed).permutation(np.flatnonzero(np.diff(offsets)))
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


def begin_in_context(
    vectors: Tensor, context: Context, data: Data, training: np.ndarray, validation: np.ndarray
) -> tuple[Tensor, Tensor]:
    """``alignment.in_context`` by the sentences to train on.

    The context is of all sentences. What the held-out ones added to the sums is taken out, with a sentence's embedding
    in place of each of its tokens' states, which are not known any more.
    """
    embeddings = Data(data.tokens, data.offsets, context.embeddings, data.device)
    sums, counts, pieces = (
        torch.tensor(values).to(data.device) for values in (context.sums, context.counts, context.pieces)
    )
    for batch, own in embeddings.read(parts(validation)):
        own_sums = embedding_bag(batch.sentences, own, batch.starts, mode="sum")
        sums[batch.tokens] -= own_sums * pieces[batch.tokens, None]
        counts[batch.tokens] -= batch.starts.diff(append=torch.tensor([len(batch.sentences)]).to(batch.starts))
    known = counts > 0
    triples = (
        (batch, own, wanted)
        for (batch, wanted), (_, own) in zip(data.read(parts(training)), embeddings.read(parts(training)), strict=True)
    )
    return in_context(vectors, sums * known[:, None], counts * known, pieces, triples)


def parts(rows: np.ndarray) -> list[np.ndarray]:
    """Ascending rows in parts that are read at once."""
    return np.array_split(np.sort(rows), math.ceil(len(rows) / ROWS_AT_ONCE))


def state(table: Table, objective: Objective, best: list[Tensor]) -> dict[str, Tensor]:
    """All tensors that a step changes, by name, and the parameters of the best epoch."""
    tensors = {"steps": table.steps}
    for i, (values, moments) in enumerate(zip(table.parameters, table.moments, strict=True)):
        tensors |= {f"table.{i}.{j}": each for j, each in enumerate([values, *moments, best[i]])}
    for i, (values, moments) in enumerate(zip(objective.parameters_of_head, objective.moments, strict=True)):
        tensors |= {f"head.{i}.{j}": each for j, each in enumerate([values.data, *moments])}
    return tensors


def best_epoch(curve: list[dict]) -> int:
    """The first epoch with the lowest held-out loss; the curve begins with epoch 0."""
    losses = [point["validation_loss"] for point in curve]
    return losses.index(min(losses))


def train(
    model: StaticModel,
    tokens: np.ndarray,
    offsets: np.ndarray,
    targets: np.ndarray | Rows,
    settings: TrainingSettings,
    device: str,
    checkpoint: Checkpoint | None = None,
    context: Context | None = None,
) -> tuple[StaticModel, dict]:
    """Train a model's vectors so that their means have the targets' neighbourhoods.

    Adam updates the rows of the table that a batch touches, or all rows if tokens share them. The learning rate decays
    linearly. The vectors of the epoch with the lowest held-out loss are returned, those of rare tokens shrunk.

    Args:
        model: the initial model, float32; it is not changed.
        tokens: flat token ids of all sentences.
        offsets: where each sentence begins in ``tokens``, and the end.
        targets: ``[sentences, target dimensions]`` float16 or float32.
        settings: the training settings.
        device: ``cpu`` or ``cuda``.
        checkpoint: of this training, if it was interrupted; written after an epoch, at most once a minute.
        context: for the setting ``initial: contextual``.

    Returns:
        The trained model, and a report with the loss curve and the reason for stopping.

    Raises:
        InputError: there are too few sentences for one batch, or the loss is not finite.
    """
    torch.manual_seed(settings.seed)
    data = Data(tokens, offsets, targets, device)
    training, validation = split(offsets, settings)
    table = (Table if model.token_mapping is None else SharedTable)(model, device)
    objective = Objective(settings, model.dim, device)
    if context:
        vectors = table.parameters[0]
        table.parameters[0], objective.rotation = begin_in_context(vectors, context, data, training, validation)
    elif settings.initial == "aligned" or settings.loss == "cosine":
        means = ((table.mean(batch), wanted) for batch, wanted in data.read(parts(training)))
        linear, objective.rotation = align(means)
        if settings.initial == "aligned":
            table.parameters[0] = mapped(table.parameters[0], linear)
    initial, best = copy.deepcopy(table.parameters), copy.deepcopy(table.parameters)
    first = validate(table, objective, data, validation)
    curve: list[dict] = [{"epoch": 0, "step": 0, "train_loss": None, "validation_loss": first}]
    if saved := checkpoint and checkpoint.read():
        tensors, curve = saved
        for name, tensor in state(table, objective, best).items():
            tensor.copy_(tensors[name])
        say(f"train: continues after epoch {len(curve) - 1}, from {checkpoint.path}")

    steps_of_epoch = len(training) // settings.batch_size
    steps = settings.epochs * steps_of_epoch
    before, start, written = len(curve) - 1, time.monotonic(), time.monotonic()
    while len(curve) <= settings.epochs and len(curve) - best_epoch(curve) <= settings.patience:
        epoch, losses = len(curve), []
        rows = np.random.default_rng([settings.seed, epoch]).permutation(training)
        items = data.read(batches(rows, settings.batch_size))
        for batch, wanted in progress(items, steps_of_epoch, f"epoch {epoch} of {settings.epochs}"):
            step = curve[-1]["step"] + len(losses)
            rate = settings.learning_rate * (1 - (1 - LAST_RATE) * step / steps)
            means = table.mean(batch).requires_grad_()
            loss = objective(means, wanted)
            loss.backward()
            table.step(batch, means.grad, rate)
            objective.step(rate)
            losses.append(loss.item())

        point = {
            "epoch": epoch,
            "step": epoch * steps_of_epoch,
            "train_loss": float(np.mean(losses)),
            "validation_loss": validate(table, objective, data, validation),
        }
        if not np.isfinite([point["train_loss"], point["validation_loss"]]).all():
            raise InputError(f"training: the loss is not finite after epoch {epoch}; lower training.learning_rate")
        curve.append(point)
        if best_epoch(curve) == epoch:
            best = copy.deepcopy(table.parameters)
        left = (settings.epochs - epoch) * (time.monotonic() - start) / (epoch - before)
        say(
            f"epoch {epoch}: loss {point['train_loss']:.4f}, held-out loss {point['validation_loss']:.4f};"
            f" about {left:,.0f} s left"
        )
        if checkpoint and time.monotonic() - written >= SECONDS_BETWEEN_CHECKPOINTS:
            checkpoint.write(state(table, objective, best), curve)
            written = time.monotonic()

    if settings.shrinkage:
        lengths = np.diff(offsets)
        used = np.zeros(len(lengths), bool)
        used[training] = True
        counts = np.bincount(tokens[np.repeat(used, lengths)], minlength=len(initial[0]))
        best[0] = shrink(best[0], initial[0], counts, settings.shrinkage)
    stop = "epochs" if len(curve) > settings.epochs else "patience"
    report = {"curve": curve, "stop": stop, "train_sentences": len(training), "validation_sentences": len(validation)}
    return with_vectors(model, *(values.cpu().numpy() for values in best)), report


def add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that ``set_up`` reads: training settings, GPUs and threads."""
    parser.add_argument("--loss", choices=["cosine", "contrastive"], required=True)
    parser.add_argument("--temperature", type=float, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--patience", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--initial", choices=["distilled", "aligned", "contextual"], default="distilled")
    parser.add_argument("--shrinkage", type=float, default=0.0)
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
