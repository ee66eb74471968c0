"""Overlap of sentences with the test texts of evaluation tasks.

A sentence overlaps with a task if it contains a whole test text of the task, or shares ``NGRAM`` words in a row with it
(Brown et al. 2020 used 13 words, on documents). Words are compared in lower case, without punctuation. Test texts of
fewer than ``SHORTEST`` words are common phrases; they are counted, but not searched for.
"""

import re
import unicodedata
from collections.abc import Iterable

import numpy as np
import xxhash

SHORTEST, NGRAM = 5, 10
WORD = re.compile(r"\w+")
FACTOR = np.uint64(0x9E3779B97F4A7C15)


def normalized_words(text: str) -> list[str]:
    """The words of a text without punctuation, with compatibility forms and case folded."""
    return WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def word_hashes(texts: Iterable[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """64-bit hashes of the words of all texts, flat, and where each text begins (one longer: the end), int64."""
    lengths = [0]

    def hashes() -> Iterable[int]:
        for words in texts:
            lengths.append(len(words))
            yield from (xxhash.xxh3_64_intdigest(word.encode("utf-8", "replace")) for word in words)

    flat = np.fromiter(hashes(), np.uint64)
    return flat, np.cumsum(lengths)


def hash_texts(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """``word_hashes`` of the normalized words of texts."""
    return word_hashes(map(normalized_words, texts))


def runs(hashes: np.ndarray, offsets: np.ndarray) -> Iterable[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """For each length from ``SHORTEST`` to ``NGRAM``, the hashes of all runs of that many words inside a text.

    Yields:
        The length, the runs' hashes, the number of the text that each is in, and whether it is the whole text.
    """
    lengths = np.diff(offsets)
    text = np.repeat(np.arange(len(lengths)), lengths)
    left = np.repeat(offsets[1:], lengths) - np.arange(len(hashes))  # words from here to the text's end
    run = np.zeros(len(hashes), np.uint64)
    for length in range(1, NGRAM + 1):
        end = max(0, len(run) - length + 1)
        run[:end] *= FACTOR
        run[:end] += hashes[length - 1 :]
        if length >= SHORTEST:
            inside = np.flatnonzero(left >= length)
            yield length, run[inside], text[inside], lengths[text[inside]] == length


def is_among(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Whether each value is in the sorted array ``known``."""
    if not len(known):
        return np.zeros(len(values), bool)
    place = np.searchsorted(known, values)
    return known[np.minimum(place, len(known) - 1)] == values


def sorted_together(parts: list[np.ndarray]) -> np.ndarray:
    """The values of all parts, sorted, with repetitions."""
    values = np.concatenate(parts)
    values.sort()
    return values


class TaskTexts:
    """The test texts of several tasks, as sorted hashes by task and length."""

    def __init__(self) -> None:
        self.tasks: dict[str, dict[int, np.ndarray]] = {}
        self.of_any: dict[int, np.ndarray] = {}
        self.counts: dict[str, dict[str, int]] = {}

    def add(self, task: str, hashed: Iterable[tuple[np.ndarray, np.ndarray]], texts: int) -> None:
        """Add a task's test texts, hashed in parts as ``hash_texts`` does; ``texts`` is their total number."""
        hashes_of: dict[int, list[np.ndarray]] = {length: [] for length in range(SHORTEST, NGRAM + 1)}
        short = 0
        for hashes, offsets in hashed:
            short += int((np.diff(offsets) < SHORTEST).sum())
            for length, run, _, whole in runs(hashes, offsets):
                hashes_of[length].append(run if length == NGRAM else run[whole])
        self.tasks[task] = {length: sorted_together(parts) for length, parts in hashes_of.items() if parts}
        self.of_any = {}
        self.counts[task] = {"texts": texts, "too_short_to_seek": short}

    def overlaps(self, hashes: np.ndarray, offsets: np.ndarray) -> dict[int, list[str]]:
        """The tasks that each overlapping sentence overlaps with, by the sentence's number.

        Args:
            hashes: of the sentences' words, as ``word_hashes`` gives them.
            offsets: where each sentence begins, and the end.
        """
        tasks_of: dict[int, set[str]] = {}
        for length, run, sentence, _ in runs(hashes, offsets):
            none = run[:0]
            if length not in self.of_any:
                self.of_any[length] = sorted_together(
                    [none, *(known.get(length, none) for known in self.tasks.values())]
                )
            hits = np.flatnonzero(is_among(run, self.of_any[length]))
            for task, known in self.tasks.items():
                for row in sentence[hits[is_among(run[hits], known.get(length, none))]]:
                    tasks_of.setdefault(int(row), set()).add(task)
        return {row: [task for task in self.tasks if task in tasks] for row, tasks in tasks_of.items()}
