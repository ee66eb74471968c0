"""The linear part of a training: vectors aligned with the targets at its beginning, rare tokens' shrunk at its end."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from lib.job.command import InputError

ROWS_AT_ONCE = 16_384
RIDGE = 1e-3  # of the mean square of a dimension


def align(batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The ridge regression of the targets, at unit length, on the means, as a symmetric map and a rotation.

    This is its polar decomposition. The symmetric map alone gives the means the inner products that the regression
    gives them, in their own dimensions; the rotation then leads to where the targets are.

    Args:
        batches: means, ``[sentences, dimensions]``, and targets, ``[sentences, target dimensions]``; float32.

    Returns:
        The map, ``[dimensions, dimensions]``, and the rotation, ``[dimensions, target dimensions]``; float32.

    Raises:
        InputError: a mean or a target is not finite.
    """
    squares = products = torch.zeros(())
    for means, targets in batches:
        squares = squares + (means.T @ means).double()
        products = products + (means.T @ normalize(targets)).double()
    ridge = RIDGE * squares.diagonal().mean() * torch.eye(len(squares)).to(squares)
    regression = torch.linalg.solve(squares + ridge, products)
    if not regression.isfinite().all():
        raise InputError("training: expected finite vectors and targets, found NaN or infinity")
    left, values, right = torch.linalg.svd(regression, full_matrices=False)
    return (left * values @ left.T).float(), (left @ right).float()


def mapped(vectors: Tensor, linear: Tensor) -> Tensor:
    """Vectors after a linear map, at the same mean length: ``[tokens, dimensions]`` float32."""
    moved = vectors @ linear
    return moved * (vectors.norm(dim=1).mean() / moved.norm(dim=1).mean())


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
