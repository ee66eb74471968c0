"""Sample the training sentences: split documents, clean, filter, drop duplicates and overlaps with test sets.

With ``enough`` documents, sentences are taken in the order of the documents until there are enough: a smaller sample is
the beginning of a larger one, and nothing is read in vain. This suits unordered texts, such as C4. With ``all``
documents, sentences are ordered by a hash of their words and the seed, which suits ordered texts. Neither depends on
the number of workers or shards.

A share of the sample can be short spans of the sentences, cut at random, because phrases are texts too.
"""

import argparse
import hashlib
import heapq
import json
import math
import re
import string
import unicodedata
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars
import pyarrow
import sentencex

from lib.documents import hub_files, in_turn, local_files, one_after_another
from lib.job.command import InputError, run
from lib.job.files import check_hashes, replacing, sha256, write_json
from lib.job.progress import progress, say
from lib.language import check_language, may_be
from lib.overlap import TaskTexts, hash_texts, normalized_words, word_hashes
from lib.plan.sources import parse_source
from lib.shards import shard_path
from lib.task_data import read_splits

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff]|[\ud800-\udfff]")
SPACE = re.compile(r"\s+")
REASONS = ["too_short", "too_long", "no_letters", "other_language", "test_text", "duplicate"]
EXAMPLES = 10
DOCUMENTS_AT_ONCE = 128
TEXTS_AT_ONCE = 5_000
TEXT_COLUMNS = ["text", "sentence1", "sentence2"]
DRAWS = 8  # attempts at a new span; the last one is taken in any case

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Rules:
    """The rules of the sample: words per sentence, language (None: any), and the seed of the sentences' ranks."""

    min_words: int
    max_words: int
    language: str | None
    seed: int


@dataclass
class Examined:
    """Sentences of some documents that passed the filters, with their ranks and word hashes; and the dropped ones."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    hashes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    offsets: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))

    def drop(self, reason: str, sentence: str) -> None:
        """Count a dropped sentence and keep the first few as examples."""
        self.counts[reason] += 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < EXAMPLES:
            shown.append(sentence)


def split_sentences(document: str, language: str = "en") -> Iterator[str]:
    """Split a document, line by line, into sentences (with the library sentencex)."""
    for line in document.splitlines():
        text = CONTROL.sub(" ", line).strip()
        if text:
            yield from sentencex.segment(language, text)


def clean(text: str) -> str:
    """Normalize to Unicode NFC, remove control characters and lone surrogates, collapse and strip white space."""
    return SPACE.sub(" ", unicodedata.normalize("NFC", CONTROL.sub(" ", text))).strip()


def rank_of(words: list[str], seed: int) -> int:
    """64 bits of BLAKE2b of a sentence's normalized words, keyed by the seed; equal sentences share it."""
    key = seed.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(" ".join(words).encode(), digest_size=8, key=key).digest(), "big")


def examine(documents: list[str], rules: Rules) -> Examined:
    """Split, clean and filter documents, without looking for duplicates and test texts yet."""
    examined = Examined()
    all_words = []
    for document in documents:
        examined.counts["documents"] += 1
        for raw in split_sentences(document, rules.language or "en"):
            examined.counts["sentences"] += 1
            sentence = clean(raw)
            words = sentence.count(" ") + 1
            if words < rules.min_words:
                examined.drop("too_short", sentence)
            elif words > rules.max_words:
                examined.drop("too_long", sentence)
            elif not any(character.isalpha() for character in sentence):
                examined.drop("no_letters", sentence)
            elif rules.language and not may_be(rules.language, sentence):
                examined.drop("other_language", sentence)
            else:
                normalized = normalized_words(sentence)
                all_words.append(normalized)
                examined.sentences.append(sentence)
                examined.ranks.append(rank_of(normalized, rules.seed))
    examined.hashes, examined.offsets = word_hashes(all_words)
    return examined


def in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Generator[Result, None, None]:
    """``map`` by several processes, the results in the items' order; reads only two items per worker ahead."""
    if workers == 1:
        yield from map(function, items)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def chunks(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Runs of ``size`` texts."""
    iterator = iter(texts)
    while chunk := list(islice(iterator, size)):
        yield chunk


def sample(
    documents: Iterable[str], count: int, evenly: bool, rules: Rules, test_texts: TaskTexts, workers: int = 1
) -> tuple[list[str], dict]:
    """Choose ``count`` distinct sentences.

    Memory is bounded by ``count``, not by the number of documents. In an even sample a duplicate is therefore only
    counted while the sentence that it repeats is among those chosen so far.

    Args:
        documents: the texts.
        count: number of sentences to choose.
        evenly: choose from all documents by the hashes; else take the first ones, and read no further.
        rules: the rules of the sample.
        test_texts: sentences that overlap with these are dropped.
        workers: number of processes that split and filter.

    Returns:
        The sentences in the sample's order; and a report: documents read, sentences kept and dropped, and a few
        examples for each reason.
    """
    total = Examined()
    by_task = dict.fromkeys(test_texts.counts, 0)
    chosen: dict[int, str] = {}
    heap: list[int] = []  # if evenly: negated ranks, the largest rank on top
    with closing(in_order(partial(examine, rules=rules), chunks(documents, DOCUMENTS_AT_ONCE), workers)) as results:
        for part in progress(results, 0 if evenly else count, "sentences", "sentences", lambda f: len(f.sentences)):
            total.counts += part.counts
            for reason, dropped in part.examples.items():
                shown = total.examples.setdefault(reason, [])
                shown += dropped[: EXAMPLES - len(shown)]
            overlaps = test_texts.overlaps(part.hashes, part.offsets)
            for row, (sentence, rank) in enumerate(zip(part.sentences, part.ranks, strict=True)):
                if row in overlaps:
                    total.drop("test_text", sentence)
                    for task in overlaps[row]:
                        by_task[task] += 1
                elif rank in chosen:
                    total.drop("duplicate", sentence)
                    if evenly:
                        chosen[rank] = max(chosen[rank], sentence)  # of two spellings, the one in lower case
                elif len(chosen) < count:
                    chosen[rank] = sentence
                    if evenly:
                        heapq.heappush(heap, -rank)
                elif evenly and rank < -heap[0]:
                    del chosen[-heapq.heapreplace(heap, -rank)]
                    chosen[rank] = sentence
            if not evenly and len(chosen) == count:
                break
    sentences = [chosen[rank] for rank in sorted(chosen)] if evenly else list(chosen.values())
    counts = {name: total.counts[name] for name in ["documents", "sentences", *REASONS]}
    counts["not_sampled"] = counts["sentences"] - sum(counts[reason] for reason in REASONS) - len(sentences)
    counts["kept"] = len(sentences)
    tasks = {task: texts | {"dropped": by_task[task]} for task, texts in test_texts.counts.items()}
    return sentences, {"counts": counts, "test_texts": tasks, "dropped_examples": total.examples}


def spans_after(sentences: int, share: float) -> int:
    """The number of spans among the texts up to a sentence, so that spans are a share of the texts."""
    return int(sentences * share / (1 - share))


def with_spans(sentences: list[str], share: float, most_words: int, seed: int) -> Iterator[str]:
    """The sentences, and spans of their words, each after the sentence that it was cut from.

    A span's length is sampled up to ``most_words``, below its sentence's length; punctuation at its ends is removed.

    Args:
        sentences: the sample.
        share: share of spans among all texts.
        most_words: length of the longest span.
        seed: of the sampling, which depends on the sentence too.
    """
    seen = set()
    for number, sentence in enumerate(sentences):
        yield sentence
        words = sentence.split(" ")
        for turn in range(spans_after(number, share), spans_after(number + 1, share)):
            for draw in range(DRAWS):
                chance = rank_of([sentence, str(turn), str(draw)], seed)
                length = min(1 + chance % most_words, len(words) - 1)
                start = (chance >> 32) % (len(words) - length + 1)
                span = " ".join(words[start : start + length]).strip(string.punctuation + "“”‘’«»–—… ")
                key = rank_of(normalized_words(span), seed)
                if span and key not in seen:
                    break
            seen.add(key)
            yield span or sentence


def texts_in(table: pyarrow.Table) -> Iterator[str]:
    """The texts in a task's rows."""
    for batch in table.to_batches():
        for column in (batch[name] for name in TEXT_COLUMNS if name in batch.schema.names):
            yield from column.to_pylist()


def test_texts_of(paths: Iterable[Path]) -> TaskTexts:
    """The test texts of tasks, from a file for each.

    Raises:
        InputError: a file is damaged, or holds no test split.
    """
    texts = TaskTexts()
    for path in paths:
        tables = [table for (_, split), table in read_splits(path).items() if split != "train"]
        if not tables:
            raise InputError(f"{path}: expected a test split, found none")
        unique = dict.fromkeys(text for table in tables for text in texts_in(table))
        texts.add(path.stem, map(hash_texts, chunks(unique, TEXTS_AT_ONCE)), len(unique))
        say(f"test texts: {path.stem}: {texts.counts[path.stem]}")
    return texts


def most_dropped(counts: dict[str, int], rules: Rules) -> str:
    """The rule that dropped most sentences, and its key in the config."""
    keys = {
        "too_short": f" (corpus.min_words: {rules.min_words})",
        "too_long": f" (corpus.max_words: {rules.max_words})",
        "other_language": f" (corpus.language: {rules.language})",
        "test_text": " (corpus.decontaminate)",
    }
    reason = max(REASONS, key=lambda reason: counts.get(reason, 0))
    dropped = f"{counts.get(reason, 0):,} of {counts['sentences']:,} sentences"
    return f"most were dropped as {reason}{keys.get(reason, '')}: {dropped}" if counts.get(reason) else "none dropped"


def write_shards(sentences: list[str], folder: Path, shard_size: int) -> list[Path]:
    """Write consecutive runs of ``shard_size`` sentences as parquet files with the one column ``text``."""
    shards = []
    for start in range(0, len(sentences), shard_size):
        shards.append(shard_path(folder, len(shards), "parquet"))
        with replacing(shards[-1]) as temporary:
            rows = sentences[start : start + shard_size]
            polars.DataFrame({"text": rows}).write_parquet(temporary, compression="zstd")
    return shards


def main(argv: list[str]) -> None:
    """Sample sentences from all sources and write them as shards with a manifest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=json.loads, required=True, help="JSON list of sources, as in the config")
    parser.add_argument(
        "--paths", type=Path, nargs="*", default=[], help="folders or files of the downloaded and local sources"
    )
    parser.add_argument("--tasks", type=Path, nargs="*", default=[], help="data of tasks whose test texts are kept out")
    parser.add_argument(
        "--count", type=int, required=True, help="least number of sentences to sample; whole shards are filled"
    )
    parser.add_argument("--text-key", default="text", help="key or column of the text, in JSON and in tables")
    parser.add_argument("--documents", choices=["enough", "all"], default="enough", help="how many documents to read")
    parser.add_argument("--language", help="code of the language to keep; all by default")
    parser.add_argument("--min-words", type=int, default=5)
    parser.add_argument("--max-words", type=int, default=60)
    parser.add_argument("--spans", type=float, default=0.0, help="share of short spans, cut from the sentences")
    parser.add_argument("--span-words", type=int, default=12, help="longest span, in words")
    parser.add_argument("--shard-size", type=int, required=True, help="sentences in a shard")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="number of processes that split and filter")
    parser.add_argument("--sentences", type=Path, required=True, help="the folder to write the sentence shards into")
    parser.add_argument("--manifest", type=Path, required=True, help="the JSON file to write")
    args = parser.parse_args(argv)

    if args.language:
        check_language(args.language)
    for path in args.paths:
        check_hashes(path, required=False)
    test_texts = test_texts_of(args.tasks)
    streamed = [source for source in map(parse_source, args.sources) if source.kind == "hub"]
    files = {}
    for openers in [local_files(path) for path in args.paths] + [hub_files(source) for source in streamed]:
        files |= openers
    evenly = args.documents == "all"
    documents = one_after_another(files, args.text_key) if evenly else in_turn(files, args.text_key, args.seed)
    rules = Rules(args.min_words, args.max_words, args.language, args.seed)
    # complete shards only, so that they do not change when the sample grows
    whole = math.ceil(args.count / args.shard_size) * args.shard_size
    wanted = bisect_left(range(whole), whole, key=lambda count: count + spans_after(count, args.spans))
    sentences, report = sample(documents, wanted, evenly, rules, test_texts, args.threads)
    texts = list(islice(with_spans(sentences, args.spans, args.span_words, args.seed), whole))
    counts = report["counts"]
    counts["spans"] = len(texts) - len(sentences)
    say(f"sentences: {counts}")
    if len(texts) < args.count:
        raise InputError(
            f"corpus: expected {args.count:,} distinct sentences, found {len(texts):,} in {counts['documents']:,} "
            f"documents; {most_dropped(counts, rules)}; add a source, or reduce the models' sentences"
        )
    if len(texts) > args.count:
        say(f"sentences: {args.count:,} are needed; {len(texts):,} fill whole shards (corpus.shard_size)")
    shards = write_shards(texts, args.sentences, args.shard_size)
    settings = {"sources": args.sources, "documents": args.documents, "seed": args.seed, "language": args.language}
    settings |= {"min_words": args.min_words, "max_words": args.max_words}
    settings |= {"spans": args.spans, "span_words": args.span_words}
    hashes = {"shards": {shard.name: sha256(shard) for shard in shards}}
    write_json(args.manifest, settings | report | hashes)


if __name__ == "__main__":
    run(main)
