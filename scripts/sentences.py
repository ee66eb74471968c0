"""Sample the training sentences: split documents, clean, filter, drop duplicates, and choose by a seeded hash.

A sentence's place in the sample is the hash of its normalised text and the seed: the sample does not depend on the
order, number or parallel reading of files, a smaller sample is the beginning of a larger one, and equal sentences
meet at the same place, where one of them stays.
"""

import argparse
import hashlib
import heapq
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars
import sentencex

from lib.command import InputError, run
from lib.documents import hub_files, local_files, read_documents
from lib.files import replacing, sha256, write_json
from lib.progress import progress, say
from lib.sources import parse_source

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff]|[\ud800-\udfff]")
SPACE = re.compile(r"\s+")


def split_sentences(document: str) -> Iterator[str]:
    """Split a document, line by line, into sentences (the library sentencex: abbreviations, initials, decimals)."""
    for line in document.splitlines():
        text = CONTROL.sub(" ", line).strip()
        if text:
            yield from sentencex.segment("en", text)


def clean(text: str) -> str:
    """Unicode NFC, control characters and lone surrogates out, runs of white space to one space, ends stripped."""
    return SPACE.sub(" ", unicodedata.normalize("NFC", CONTROL.sub(" ", text))).strip()


def place(sentence: str, seed: int) -> int:
    """The sentence's place in the sample's order: 64 bits of BLAKE2b of its case-folded text, keyed by the seed."""
    key = seed.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(sentence.casefold().encode(), digest_size=8, key=key).digest(), "big")


def sample(
    documents: Iterable[str], count: int, min_words: int, max_words: int, seed: int
) -> tuple[list[str], dict[str, int]]:
    """Choose ``count`` distinct sentences of ``min_words`` to ``max_words`` words.

    Memory is bounded by ``count``, not by the number of documents; so a duplicate is counted as one only while the
    sentence that it repeats is among those chosen so far.

    Returns:
        The sentences in the sample's order, and how many documents were read and sentences kept and dropped.
    """
    counts: Counter[str] = Counter()
    heap: list[int] = []  # the worst place on top: places are negated
    chosen: dict[int, str] = {}
    for document in documents:
        counts["documents"] += 1
        for raw in split_sentences(document):
            counts["sentences"] += 1
            sentence = clean(raw)
            words = sentence.count(" ") + 1
            if words < min_words:
                counts["too_short"] += 1
            elif words > max_words:
                counts["too_long"] += 1
            elif not any(character.isalpha() for character in sentence):
                counts["no_letters"] += 1
            else:
                rank = place(sentence, seed)
                if rank in chosen:
                    counts["duplicate"] += 1
                    chosen[rank] = max(chosen[rank], sentence)  # of two spellings, small letters
                elif len(heap) < count:
                    heapq.heappush(heap, -rank)
                    chosen[rank] = sentence
                elif rank < -heap[0]:
                    del chosen[-heapq.heapreplace(heap, -rank)]
                    chosen[rank] = sentence
    kept = [chosen[rank] for rank in sorted(chosen)]
    names = ["documents", "sentences", "too_short", "too_long", "no_letters", "duplicate"]
    report = {name: counts[name] for name in names}
    dropped = sum(report[name] for name in names[2:])
    return kept, report | {"not_sampled": report["sentences"] - dropped - len(kept), "kept": len(kept)}


def write_shards(sentences: list[str], shards: list[Path], shard_size: int) -> None:
    """Write consecutive runs of ``shard_size`` sentences as parquet files with the one column ``text``."""
    for i, shard in enumerate(shards):
        rows = sentences[i * shard_size : (i + 1) * shard_size]
        with replacing(shard) as temporary:
            polars.DataFrame({"text": rows}).write_parquet(temporary, compression="zstd")


def main(argv: list[str]) -> None:
    """Sample sentences from all sources and write them as shards with a manifest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=json.loads, required=True, help="JSON list of sources, as in the config")
    parser.add_argument("--paths", type=Path, nargs="*", default=[], help="folders of the fetched and local sources")
    parser.add_argument("--count", type=int, required=True, help="sentences to choose")
    parser.add_argument("--text-key", default="text", help="key or column of the text in JSON and parquet")
    parser.add_argument("--documents", type=int, help="the most documents to read from each source; all by default")
    parser.add_argument("--min-words", type=int, default=5)
    parser.add_argument("--max-words", type=int, default=60)
    parser.add_argument("--shard-size", type=int, required=True, help="sentences in a shard")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="the parquet files to write, in order")
    parser.add_argument("--manifest", type=Path, required=True, help="the JSON file to write")
    args = parser.parse_args(argv)

    def documents() -> Iterator[str]:
        for files in [local_files(p) for p in args.paths] + [hub_files(s) for s in streamed]:
            yield from read_documents(files, args.text_key, args.documents, args.seed)

    streamed = [source for source in map(parse_source, args.sources) if source.kind == "hub"]
    total = args.documents * len(args.sources) if args.documents else 0
    shown = progress(documents(), total, "documents", "documents")
    sentences, counts = sample(shown, args.count, args.min_words, args.max_words, args.seed)
    say(f"sentences: {counts}")
    if len(sentences) < args.count:
        raise InputError(
            f"corpus: expected {args.count:,} distinct sentences, found {len(sentences):,} in {counts['documents']:,} "
            "documents; raise corpus.documents, add a source, or lower the models' sentences"
        )
    write_shards(sentences, args.shards, args.shard_size)
    write_json(
        args.manifest,
        {
            "sources": args.sources,
            "counts": counts,
            "seed": args.seed,
            "min_words": args.min_words,
            "max_words": args.max_words,
            "shards": {shard.name: sha256(shard) for shard in args.shards},
        },
    )


if __name__ == "__main__":
    run(main)
