"""Losses between a batch of student embeddings and their targets."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, normalize


def cosine_loss(student: Tensor, targets: Tensor) -> Tensor:
    """One minus the mean cosine of student embeddings and their targets, both ``[batch, dimensions]`` float32."""
    return 1 - cosine_similarity(student, targets).mean()


def contrastive_loss(student: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """In-batch negatives: each student embedding has to identify its own target in the batch (InfoNCE).

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
