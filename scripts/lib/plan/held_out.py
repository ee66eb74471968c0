"""How many sentences a training holds out for validation; needs no other library."""

SHARE, MOST = 0.1, 4096


def held_out(sentences: int) -> int:
    """The number of held-out sentences, out of ``sentences``."""
    return min(MOST, int(sentences * SHARE))
