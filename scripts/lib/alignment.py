"""The linear part of a training: where vectors begin, by regression on the targets, and rare tokens' at its end."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from lib.job.command import InputError
from lib.student import Batch

ROWS_AT_ONCE = 16_384
RIDGE = 1e-3  # of the mean square of a dimension
EXPECTED = 3  # occurrences that a token's expected hidden state counts as


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
    regression = ridge_regression(squares, products)
    left, values, right = torch.linalg.svd(regression, full_matrices=False)
    return (left * values @ left.T).float(), (left @ right).float()


def ridge_regression(squares: Tensor, products: Tensor) -> Tensor:
    """The coefficients, ``[features, outputs]`` float64.

    Args:
        squares: inner products of the features over all samples, ``[features, features]``.
        products: those of features and outputs, ``[features, outputs]``.

    Raises:
        InputError: a number is not finite.
    """
    squares, products = squares.double(), products.double()
    ridge = RIDGE * squares.diagonal().mean() * torch.eye(len(squares)).to(squares)
    regression = torch.linalg.solve(squares + ridge, products)
    if not regression.isfinite().all():
        raise InputError("training: expected finite vectors and targets, found NaN or infinity")
    return regression


def in_context(
    vectors: Tensor, sums: Tensor, counts: Tensor, pieces: Tensor, batches: Iterable[tuple[Batch, Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Vectors by regression of the targets on the tokens' distilled vectors and their mean hidden states in sentences.

    A teacher's embedding is the mean of its hidden states, so a token's mean hidden state is what it adds to embeddings
    on average. A few occurrences suffice to know it, where learning from whole sentences takes many. Bommasani et al.
    2020 (ACL 2020.acl-main.431) pool static vectors from contextual ones in the same way. A token that occurs seldom
    has mostly the state that its distilled vector lets expect. A word that the teacher's tokenizer splits adds the
    states of all pieces. For the regression a sentence's own embedding, in place of its tokens' states, is left out of
    their means; otherwise it would predict itself.

    Args:
        vectors: distilled ones, ``[tokens, dimensions]`` float32.
        sums: of each token's hidden states, ``[tokens, teacher dimensions]`` float32.
        counts: of its occurrences, ``[tokens]`` float32; 0 also of a student's token of which nothing is known.
        pieces: of how many of the teacher's tokens it is, ``[tokens]`` float32.
        batches: sentences, the teacher's embeddings of them, ``[sentences, teacher dimensions]``, and the targets,
            ``[sentences, target dimensions]``; float32.

    Returns:
        Vectors of the same shape and mean length, and the rotation from their means to where the targets are,
        ``[dimensions, target dimensions]``; float32.

    Raises:
        InputError: a number is not finite, or the targets have fewer dimensions than the vectors.
    """
    dimensions = vectors.shape[1]
    states_counted = counts * pieces
    centre = sums.sum(0) / states_counted.sum().clamp(min=1)
    sums = sums - states_counted[:, None] * centre
    means = sums / states_counted.clamp(min=1)[:, None]
    weighted = vectors * (counts / (counts + EXPECTED))[:, None]
    expected = vectors @ ridge_regression(weighted.T @ vectors, weighted.T @ means).float() * pieces[:, None]
    others = (counts - 1).clamp(min=0) + EXPECTED
    of_others = (sums + EXPECTED * expected) / others[:, None]
    own_share = (counts > 0) * pieces / others
    features = torch.cat([vectors, of_others, own_share[:, None]], dim=1)
    squares = products = torch.zeros(())
    for batch, embeddings, targets in batches:
        mean = embedding_bag(batch.places, features[batch.tokens], batch.offsets, mode="mean", include_last_offset=True)
        states = mean[:, dimensions:-1] - mean[:, -1:] * (embeddings - centre)
        given = torch.cat([mean[:, :dimensions], states], dim=1)
        squares = squares + (given.T @ given).double()
        products = products + (given.T @ normalize(targets)).double()
    regression = ridge_regression(squares, products)
    if regression.shape[1] < dimensions:
        raise InputError(
            f"training.initial: contextual: {dimensions} dimensions, expected at most the targets' "
            f"{regression.shape[1]}"
        )
    _, directions = torch.linalg.eigh(regression.T @ squares @ regression)
    directions = directions.flip(1)[:, :dimensions]
    states = (sums + EXPECTED * expected) / (counts + EXPECTED)[:, None]
    moved = torch.cat([vectors, states], dim=1) @ (regression @ directions).float()
    return at_mean_length(moved, vectors), directions.T.float()


def mapped(vectors: Tensor, linear: Tensor) -> Tensor:
    """Vectors after a linear map, at the same mean length: ``[tokens, dimensions]`` float32."""
    return at_mean_length(vectors @ linear, vectors)


def at_mean_length(moved: Tensor, vectors: Tensor) -> Tensor:
    """Moved vectors, scaled to the mean length of the original ones."""
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
