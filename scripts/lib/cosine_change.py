"""How much sentence embeddings change when a model is converted to another format."""

import numpy as np

MOST_SENTENCES = 10_000  # to measure the change on


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine of each row of ``left`` to the same row of ``right``, both ``[rows, dimensions]`` float."""
    left, right = left.astype(np.float64), right.astype(np.float64)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(axis=1) / np.maximum(norms, 1e-12)


def cosine_change(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """Mean and maximum of 1 - cosine of the same rows, both ``[rows, dimensions]`` float."""
    change = 1 - cosines(before, after)
    return {"cosine_change_mean": float(change.mean()), "cosine_change_max": float(change.max())}
