"""Measure how fast models embed on a CPU, taking turns in one process, and what loading each model takes.

Only numbers that were measured together on one machine can be compared, best with nothing else running. A model that
cannot be measured is left out, and the reason is written: a run does not fail because of it.
"""

import argparse
import multiprocessing
import os
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import torch

from lib.embedder import Embedder, load_embedder
from lib.job.command import first_line, run
from lib.job.files import check_hashes, write_json
from lib.job.progress import progress, say
from lib.job.provenance import versions
from lib.shards import read_sentences

ROUNDS = 5
SECONDS = 0.2  # of work per model and round
TEXTS = 8192
FEWEST = 8
SENTENCES_IN_LONG_TEXT = 20
CALLS = 100  # with one sentence each
SENTENCES_WHEN_LOADED = 32


def use_threads(count: int) -> None:
    """Let PyTorch use ``count`` threads, and the tokenizers one, or as many as ``RAYON_NUM_THREADS`` allows."""
    torch.set_num_threads(count)
    os.environ["TOKENIZERS_PARALLELISM"] = str(count > 1).lower()


def seconds_of(embed: Embedder, texts: list[str]) -> float:
    """How long the embedding of texts takes."""
    start = time.perf_counter()
    embed(texts)
    return time.perf_counter() - start


def spread(texts: list[str], count: int) -> list[str]:
    """``count`` of the texts, with the same distribution of lengths: a slow model gets fewer texts than a fast one."""
    ordered = sorted(texts, key=len)
    return [ordered[(2 * i + 1) * len(texts) // (2 * count)] for i in range(count)]


def turned(texts: list[str], count: int) -> list[str]:
    """The texts, each with its first ``count`` words at its end: no tokenizer's cache of whole texts has them."""
    words = [text.split(" ") for text in texts]
    return [" ".join(each[count % len(each) :] + each[: count % len(each)]) for each in words]


@contextmanager
def noting(failed: dict[str, str], name: str) -> Iterator[None]:
    """Note an error in ``failed``: the model cannot be measured."""
    try:
        yield
    except Exception as error:  # each library raises its own kinds
        failed[name] = first_line(error) or type(error).__name__
        say(f"{name}: not measured: {failed[name]}")


def rates(
    models: dict[str, Embedder], texts: list[str], failed: dict[str, str], rounds: int = ROUNDS
) -> dict[str, float]:
    """Texts per second of each model that does not fail: the median of rounds, in each of which all models take turns.

    Args:
        models: for each, the function that embeds texts.
        texts: each model gets as many of these as it embeds in ``SECONDS``, at least ``FEWEST``, of all lengths; in
            each round their words are in another order.
        failed: gets the errors of those that fail.
        rounds: the number of rounds.
    """
    given = {}
    for name, embed in models.items():
        with noting(failed, name):
            count = min(FEWEST, len(texts))
            while seconds_of(embed, spread(texts, count)) < SECONDS / 2 and count < len(texts):
                count = min(2 * count, len(texts))
            given[name] = spread(texts, count)
    measured: dict[str, list[float]] = {name: [] for name in given}
    for turn in range(1, rounds + 1):
        for name, own in given.items():
            measured[name].append(len(own) / seconds_of(models[name], turned(own, turn)))
    return {name: float(np.median(each)) for name, each in measured.items()}


def latencies(embed: Embedder, texts: list[str]) -> dict[str, float]:
    """Milliseconds for one sentence: the median and the 99th percentile."""
    embed(texts[:1])
    taken = [1000 * seconds_of(embed, [text]) for text in texts]
    return {"p50": float(np.median(taken)), "p99": float(np.quantile(taken, 0.99))}


def load_and_embed(folder: Path, sentences: list[str]) -> dict[str, float]:
    """What a model costs in this process: seconds to load it, megabytes of memory after a first embedding."""
    process = psutil.Process()
    before = process.memory_full_info().uss
    start = time.perf_counter()
    embed = load_embedder(folder, "cpu")
    seconds = time.perf_counter() - start
    embed(sentences)
    return {"seconds": round(seconds, 3), "megabytes": round((process.memory_full_info().uss - before) / 1e6, 1)}


def loading(folders: dict[str, Path], sentences: list[str], failed: dict[str, str]) -> dict[str, dict[str, float]]:
    """``load_and_embed`` of each model in a process of its own, in which Python's libraries are already loaded.

    ``failed`` gets the errors of those that fail.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "model2vec", "sentence_transformers"])
    taken = {}
    for name, folder in folders.items():
        with noting(failed, name), ProcessPoolExecutor(1, context) as pool:
            taken[name] = pool.submit(load_and_embed, folder, sentences[:SENTENCES_WHEN_LOADED]).result()
    return taken


def measure(folders: dict[str, Path], sentences: list[str], threads: int, failed: dict[str, str]) -> list[dict]:
    """Measure models side by side.

    Args:
        folders: of each model.
        sentences: the short texts; a long text joins ``SENTENCES_IN_LONG_TEXT`` of them.
        threads: the most threads that a model may use.
        failed: gets the errors of those that fail; a model that is in it already is left out.

    Returns:
        A row with ``texts_per_second`` for each model that does not fail, number of threads and length of texts; rows
        of short texts have ``milliseconds`` too, the latency of one.
    """
    os.environ["RAYON_NUM_THREADS"] = str(threads)  # before the tokenizers' first work
    models = {}
    for name in [name for name in folders if name not in failed]:
        with noting(failed, name):
            models[name] = load_embedder(folders[name], "cpu")
    starts = range(0, len(sentences), SENTENCES_IN_LONG_TEXT)
    joined = [" ".join(sentences[i : i + SENTENCES_IN_LONG_TEXT]) for i in starts]
    settings = [(count, name) for count in dict.fromkeys([1, threads]) for name in ("short", "long")]
    rows = []
    for count, length in progress(settings, len(settings), "measure", "settings"):
        use_threads(count)
        texts = {"short": sentences, "long": joined}[length]
        running = {name: embed for name, embed in models.items() if name not in failed}
        for name, rate in rates(running, texts, failed).items():
            row = {"model": name, "threads": count, "texts": length, "texts_per_second": round(rate, 3)}
            if length == "short":
                row["milliseconds"] = latencies(models[name], turned(sentences[:CALLS], ROUNDS + 1))
            rows.append(row)
    return [row for row in rows if row["model"] not in failed]


def processor() -> str:
    """The processor's name."""
    for line in (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    ):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main(argv: list[str]) -> None:
    """Measure the models of a run and its baselines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="the models' folders")
    parser.add_argument("--names", nargs="+", required=True, help="the name of each model, model/stage")
    parser.add_argument("--sentences", type=Path, required=True, help="the sentence shard to embed")
    parser.add_argument("--threads", type=int, required=True, help="the most threads that a model may use")
    parser.add_argument("--output", type=Path, required=True, help="the JSON file to write")
    args = parser.parse_args(argv)
    sentences = read_sentences(args.sentences)[:TEXTS]
    folders = dict(zip(args.names, args.models, strict=True))
    for name, folder in folders.items():
        if not name.endswith("/baseline"):
            check_hashes(folder)
    failed: dict[str, str] = {}
    loaded = loading(folders, sentences, failed)
    rows = measure(folders, sentences, args.threads, failed)
    about = {"processor": processor(), "sentences": len(sentences), "rounds": ROUNDS}
    about["versions"] = versions("model2vec", "tokenizers", "numpy", "torch")
    write_json(args.output, about | {"threads": args.threads, "loading": loaded, "rows": rows, "failed": failed})


if __name__ == "__main__":
    run(main)
