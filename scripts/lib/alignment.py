"""The linear part of a training: vectors aligned with the targets at its beginning, rare tokens' shrunk at its end."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

ROWS_AT_ONCE = 16_384
RIDGE = 1e-3  # of the mean square of a dimension


def aligned(vectors: Tensor, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Vectors after the linear map that brings their means nearest to the targets, by ridge regression.

    With A the regression of the targets, at unit length, on the means, the vectors are multiplied by the symmetric root
    of A Aᵀ: this gives the means the inner products that A gives them, in their own dimensions. The mean length of the
    vectors does not change.

    Args:
        vectors: ``[tokens, dimensions]`` float32.
        batches: their means, ``[sentences, dimensions]``, and targets, ``[sentences, target dimensions]``; float32.

    Returns:
        ``[tokens, dimensions]`` float32.
    """
    squares = products = torch.zeros(())
    for means, targets in batches:
        squares = squares + (means.T @ means).double()
        products = products + (means.T @ normalize(targets)).double()
    ridge = RIDGE * squares.diagonal().mean() * torch.eye(len(squares)).to(squares)
    regression = torch.linalg.solve(squares + ridge, products)
    values, directions = torch.linalg.eigh(regression @ regression.T)
    root = directions * values.clamp(min=0).sqrt() @ directions.T
    mapped = vectors @ root.float()
    return mapped * (vectors.norm(dim=1).mean() / mapped.norm(dim=1).mean())


def shrink(trained: Tensor, initial: Tensor, counts: np.ndarray, strength: float) -> Tensor:
    """Trained vectors, those of rare tokens nearer to their initial ones, because they learned from few examples.

    Args:
        trained: ``[tokens, dimensions]`` float32.
        initial: of the same shape.
        counts: how often each token occurs in the training sentences.
        strength: a token that occurs ``strength`` times keeps half of what it learned; 0 changes nothing.

    Returns:
        ``[tokens, dimensions]`` float32.
    """
    share = torch.from_numpy(counts / np.maximum(counts + strength, 1)).to(trained)
    return torch.lerp(initial, trained, share[:, None])
