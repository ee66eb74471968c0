"""Count the words of the sampled sentences and keep the most frequent, to extend a model's vocabulary."""

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import regex

from lib.job.command import InputError, run
from lib.job.files import write_text
from lib.shards import read_sample

WORD = regex.compile(r"[^\W_]+")


def frequent_words(sentences: Iterable[str], size: int) -> list[str]:
    """The ``size`` most frequent words of the lower-cased sentences, most frequent first, ties in code point order.

    A word is a run of letters and digits. tokenlearn's ``create_vocab`` counts runs of punctuation too, but as tokens
    these make pairs of passages worse. Only the counts are held in memory.
    """
    counts: Counter[str] = Counter()
    for sentence in sentences:
        counts.update(WORD.findall(sentence.lower()))
    return sorted(counts, key=lambda word: (-counts[word], word))[:size]


def main(argv: list[str]) -> None:
    """Write the vocabulary, one word per line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=Path, required=True, help="the folder of the sentence shards")
    parser.add_argument("--count", type=int, required=True, help="number of sentences to use, from the first shard on")
    parser.add_argument("--size", type=int, required=True, help="number of words to keep")
    parser.add_argument("--output", type=Path, required=True, help="the text file to write")
    args = parser.parse_args(argv)
    words = frequent_words(read_sample(args.sentences, args.count)[0], args.size)
    if len(words) < args.size:
        raise InputError(f"vocabulary: expected {args.size:,} words, found {len(words):,} in the corpus")
    write_text(args.output, "\n".join(words) + "\n")


if __name__ == "__main__":
    run(main)
