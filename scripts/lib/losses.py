"""Losses between a batch of student embeddings and their targets."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, kl_div, normalize

MASKED = -1e4


def cosine_loss(student: Tensor, targets: Tensor) -> Tensor:
    """One minus the mean cosine of student embeddings and their targets, both ``[batch, dimensions]`` float32."""
    return 1 - cosine_similarity(student, targets).mean()


class SimilarityMatching(torch.autograd.Function):
    """``similarity_loss`` of unit vectors, its gradient by hand: the matrices are symmetric, which halves the work.

    With C and T the cosines, P and Q the softmaxes of their rows, the gradient of the divergence is P - Q, and that of
    the squared difference C - T; a row's divergence needs no logarithms but the two of its softmaxes' sums.
    """

    @staticmethod
    def forward(ctx, student: Tensor, targets: Tensor, temperature: float, weight: float) -> Tensor:
        """The loss; its gradient is computed here too, from the same matrices."""
        ours, theirs = student @ student.T, targets @ targets.T
        count = len(ours)
        difference = ours - theirs
        sums = []
        for matrix in (ours, theirs):
            matrix.div_(temperature).fill_diagonal_(MASKED)
            sums.append(matrix.logsumexp(dim=1))
            matrix.sub_(sums[-1][:, None]).exp_()
        flat = difference.flatten()
        divergence = (sums[0] - sums[1]).sum() - theirs.flatten().dot(flat) / temperature
        loss = divergence / count + weight * flat.dot(flat) / count**2
        gradient = ours.sub_(theirs).mul_(1 / (count * temperature)).add_(difference, alpha=2 * weight / count**2)
        ctx.save_for_backward((gradient + gradient.T) @ student)
        return loss

    @staticmethod
    def backward(ctx, outer: Tensor) -> tuple:
        """The student's gradient."""
        return outer * ctx.saved_tensors[0], None, None, None


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
    return SimilarityMatching.apply(normalize(student), normalize(targets), temperature, weight)


def plain_similarity_loss(student: Tensor, targets: Tensor, temperature: float, weight: float) -> Tensor:
    """``similarity_loss`` written as its formula, for reading and for tests; it takes about twice the time."""
    ours, theirs = (normalize(each) @ normalize(each).T for each in (student, targets))
    others = ~torch.eye(len(ours), dtype=torch.bool, device=ours.device)
    rows = [matrix[others].view(len(ours), -1) / temperature for matrix in (ours, theirs)]
    divergence = kl_div(rows[0].log_softmax(1), rows[1].log_softmax(1), reduction="batchmean", log_target=True)
    return divergence + weight * (ours - theirs).square().mean()


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
