"""A static model's table in training: the mean of a sentence's vectors, and Adam on the rows that a batch touches."""

from typing import NamedTuple

import numpy as np
import torch
from model2vec import StaticModel
from torch import Tensor
from torch.nn.functional import embedding_bag
from torch.optim.adam import adam

ADAM = {"amsgrad": False, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "eps": 1e-8, "maximize": False}


class Batch(NamedTuple):
    """The token ids of some sentences, laid out for their mean and its gradient; int64 except ``weights``.

    tokens: the distinct tokens, ascending.
    places: for each token of the sentences, one after another, its index in ``tokens``.
    offsets: where each sentence begins in ``places``, and the end.
    sentences: the sentence of each place, sorted by token.
    starts: where each distinct token begins in ``sentences``.
    weights: of each sentence in the gradient of its tokens, one over its length; float32.
    """

    tokens: Tensor
    places: Tensor
    offsets: Tensor
    sentences: Tensor
    starts: Tensor
    weights: Tensor


def lay_out(tokens: np.ndarray, offsets: np.ndarray, rows: np.ndarray) -> Batch:
    """Lay out some sentences, each with at least one token, without a loop.

    Args:
        tokens: flat token ids of all sentences.
        offsets: where each sentence begins in ``tokens``, and the end.
        rows: the sentences of the batch.
    """
    lengths = offsets[rows + 1] - offsets[rows]
    ends = np.cumsum(lengths)
    flat = tokens[np.arange(ends[-1]) + np.repeat(offsets[rows] - (ends - lengths), lengths)]
    order = np.argsort(flat, kind="stable")
    starts = np.flatnonzero(np.diff(flat[order], prepend=-1))
    places = np.empty(len(flat), np.int64)
    places[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(flat)))
    distinct = flat[order[starts]].astype(np.int64)
    sentences = np.repeat(np.arange(len(rows)), lengths)[order]
    parts = [distinct, places, np.concatenate([[0], ends]), sentences, starts, (1 / lengths).astype(np.float32)]
    return Batch(*map(torch.from_numpy, parts))


class Table:
    """A vector for each token, trained with Adam as in PyTorch's SparseAdam: only rows that a batch touches change."""

    def __init__(self, model: StaticModel, device: str) -> None:
        """Begin with a copy of a model's vectors."""
        self.steps = torch.zeros((), device=device)
        self.parameters = [torch.tensor(values, device=device) for values in self.values_of(model)]
        self.moments = [[torch.zeros_like(values) for _ in range(2)] for values in self.parameters]

    @staticmethod
    def values_of(model: StaticModel) -> list[np.ndarray]:
        """The trained parameters of a model: its vectors, ``[tokens, dimensions]`` float32."""
        return [model.embedding.astype(np.float32)]

    def vectors(self, tokens: Tensor) -> Tensor:
        """The vectors of tokens, ``[tokens, dimensions]``."""
        return self.parameters[0].index_select(0, tokens)

    def mean(self, batch: Batch) -> Tensor:
        """The mean of each sentence's vectors, ``[sentences, dimensions]``."""
        return embedding_bag(
            batch.places, self.vectors(batch.tokens), batch.offsets, mode="mean", include_last_offset=True
        )

    def step(self, batch: Batch, gradient: Tensor, rate: float) -> None:
        """Learn from a batch.

        Args:
            batch: the sentences.
            gradient: of their means, ``[sentences, dimensions]``.
            rate: the learning rate.
        """
        weighted = gradient * batch.weights[:, None]
        self.learn(batch.tokens, embedding_bag(batch.sentences, weighted, batch.starts, mode="sum"), rate)

    def learn(self, tokens: Tensor, gradient: Tensor, rate: float) -> None:
        """Learn from the gradient of distinct tokens' vectors, ``[tokens, dimensions]``."""
        tables = [self.parameters[0], *self.moments[0]]
        values, first, second = (each.index_select(0, tokens) for each in tables)
        adam([values], [gradient], [first], [second], [], [self.steps], fused=True, lr=rate, **ADAM)
        for each, changed in zip(tables, (values, first, second), strict=True):
            each.index_copy_(0, tokens, changed)


class SharedTable(Table):
    """Vectors that several tokens share, and a weight for each token; the assignment of tokens to vectors is fixed.

    Adam updates all vectors and weights.
    """

    def __init__(self, model: StaticModel, device: str) -> None:
        """Begin with a copy of a model's vectors and weights."""
        super().__init__(model, device)
        self.mapping = torch.tensor(model.token_mapping, dtype=torch.int64, device=device)

    @staticmethod
    def values_of(model: StaticModel) -> list[np.ndarray]:
        """The trained parameters of a model: vectors, ``[vectors, dimensions]``, and weights, ``[tokens]``; float32."""
        return [model.embedding.astype(np.float32), model.weights.astype(np.float32)]

    def vectors(self, tokens: Tensor) -> Tensor:
        """The weighted vectors of tokens, ``[tokens, dimensions]``."""
        vectors, weights = self.parameters
        return vectors.index_select(0, self.mapping[tokens]) * weights[tokens, None]

    def learn(self, tokens: Tensor, gradient: Tensor, rate: float) -> None:
        """Learn from the gradient of distinct tokens' weighted vectors, ``[tokens, dimensions]``."""
        vectors, weights = self.parameters
        rows = self.mapping[tokens]
        of_weights = torch.zeros_like(weights)
        of_weights[tokens] = (gradient * vectors[rows]).sum(1)
        of_vectors = torch.zeros_like(vectors).index_add_(0, rows, gradient * weights[tokens, None])
        first, second = map(list, zip(*self.moments, strict=True))
        gradients, steps = [of_vectors, of_weights], [self.steps, self.steps.clone()]
        adam(self.parameters, gradients, first, second, [], steps, fused=True, lr=rate, **ADAM)
