"""Losses between a batch of student embeddings and the targets they learn from."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, mse_loss, normalize

MASKED = -1e4


def similarity_loss(student: Tensor, targets: Tensor, temperature: float, weight: float) -> Tensor:
    """In-batch similarity matching: the student's neighbourhoods become the targets'.

    The Kullback-Leibler divergence between the softmaxes over each row of the two cosine matrices, the diagonal left
    out (SEED, Fang et al. 2021, with the batch as its queue), plus ``weight`` times the mean squared difference of
    the matrices (the similarity-preserving loss, Tung and Mori 2019). The widths may differ.

    Args:
        student: ``[batch, dimensions]`` float32.
        targets: ``[batch, target dimensions]`` float32.
        temperature: divides the cosines before the softmax.
        weight: of the squared difference.

    Returns:
        A scalar.
    """
    student, targets = normalize(student), normalize(targets)
    ours, theirs = student @ student.T, targets @ targets.T
    diagonal = torch.eye(len(ours), dtype=torch.bool, device=ours.device)
    log_ours = log_softmax((ours / temperature).masked_fill(diagonal, MASKED), dim=1)
    log_theirs = log_softmax((theirs / temperature).masked_fill(diagonal, MASKED), dim=1)
    divergence = (log_theirs.exp() * (log_theirs - log_ours)).sum(1).mean()
    return divergence + weight * mse_loss(ours, theirs)


def contrastive_loss(student: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """In-batch negatives: each student embedding has to find its own target among the batch's (InfoNCE).

    The loss of tokenlearn's repository and of van den Oord et al. 2018, as one matrix product.

    Args:
        student: ``[batch, dimensions]`` float32.
        targets: of the same shape.
        temperature: divides the cosines.

    Returns:
        A scalar.
    """
    logits = normalize(student) @ normalize(targets).T / temperature
    return cross_entropy(logits, torch.arange(len(logits), device=logits.device))
