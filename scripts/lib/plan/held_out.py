"""How many sentences a training holds out to validate on; known without importing a library."""

SHARE, MOST = 0.1, 4096


def held_out(sentences: int) -> int:
    """The number of sentences, of so many, that are not trained on."""
    return min(MOST, int(sentences * SHARE))
