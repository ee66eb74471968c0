"""Time a step of training: ours against the one of tokenlearn's repository, alternating, on the same cores.

Both learn by the contrastive loss with a linear head, on synthetic sentences of Zipf-distributed tokens. Theirs pads
the sentences of a batch, compares all pairs of embeddings in one (batch, batch, dimensions) tensor, and moves the whole
table by AdamW. Ours is `train.train` as the pipeline runs it: deterministic, its held-out loss and its preparation of
batches included. The last line is the ratio of the times.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from model2vec import StaticModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch.nn.functional import cosine_similarity, cross_entropy

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from lib.job.command import run
from lib.student import lay_out
from lib.training import TrainingSettings, be_deterministic, train

TEMPERATURE = 0.07
RATE = 0.001


def synthetic_sentences(count: int, vocabulary: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat token ids of synthetic sentences of 8 to 44 tokens, and where each begins, and the end."""
    random = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(random.integers(8, 45, size=count))])
    chances = 1 / np.arange(1, vocabulary + 1)
    return random.choice(vocabulary, size=offsets[-1], p=chances / chances.sum()).astype(np.int32), offsets


class Theirs(torch.nn.Module):
    """A table of vectors and a weight for each token, a linear head, AdamW on all of it."""

    def __init__(self, vectors: np.ndarray, device: str) -> None:
        super().__init__()
        self.table = torch.nn.Embedding.from_pretrained(torch.tensor(vectors), freeze=False)
        self.weights = torch.nn.Parameter(torch.ones(len(vectors)))
        self.head = torch.nn.Linear(vectors.shape[1], vectors.shape[1])
        self.to(device)
        self.optimizer = torch.optim.AdamW(self.parameters(), lr=RATE)

    def step(self, padded: torch.Tensor, real: torch.Tensor, targets: torch.Tensor) -> None:
        """Learn from the token ids of a batch, padded to one length, ``real`` where they are no padding."""
        weights = self.weights[padded] * real
        means = (self.table(padded) * weights[..., None]).sum(1) / real.sum(1, keepdim=True)
        cosines = cosine_similarity(self.head(means)[:, None], targets[None], dim=2)
        loss = cross_entropy(cosines / TEMPERATURE, torch.arange(len(targets), device=targets.device))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def copy_speed(megabytes: int = 256) -> float:
    """The bytes a second that a copy of a large array reads and writes."""
    values, copy = (torch.full((megabytes << 18,), float(value)) for value in range(2))
    start = time.perf_counter()
    copy.copy_(values)
    return 2 * (megabytes << 20) / (time.perf_counter() - start)


def main(argv: list[str]) -> None:
    """Time both sides, alternating."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=29525)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200, help="of ours in a round; theirs makes a twentieth")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    size = args.batch_size
    tokens, offsets = synthetic_sentences(size * args.steps * 10 // 9 + 10, args.vocabulary)  # a tenth is held out
    random = np.random.default_rng(1)
    vectors = 0.1 * random.normal(size=(args.vocabulary, args.dimensions)).astype(np.float32)
    targets = random.normal(size=(len(offsets) - 1, args.dimensions)).astype(np.float32)
    words = Tokenizer(WordLevel({str(i): i for i in range(args.vocabulary)}))
    model = StaticModel(vectors, words, normalize=True)
    settings = TrainingSettings(
        "contrastive", TEMPERATURE, size, RATE, epochs=1, patience=1, seed=0, initial="distilled", shrinkage=0
    )

    theirs = Theirs(vectors, args.device)
    seconds = {"ours": [], "theirs": []}
    for _ in range(args.rounds):
        torch.use_deterministic_algorithms(False)  # theirs is not
        batches = [random.choice(len(targets), size, replace=False) for _ in range(max(2, args.steps // 20))]
        start = time.perf_counter()
        for rows in batches:
            lengths = offsets[rows + 1] - offsets[rows]
            real = np.arange(lengths.max()) < lengths[:, None]
            padded = np.where(
                real, tokens[np.minimum(offsets[rows, None] + np.arange(lengths.max()), len(tokens) - 1)], 0
            )
            parts = (torch.from_numpy(part).to(args.device) for part in (padded.astype(np.int64), real, targets[rows]))
            theirs.step(*parts)
        if args.device == "cuda":
            torch.cuda.synchronize()
        seconds["theirs"].append((time.perf_counter() - start) / len(batches))
        be_deterministic()
        ended = []
        for epochs in (1, 2):  # the second epoch alone, without what comes before and after the steps
            start = time.perf_counter()
            _, report = train(
                model, tokens, offsets, targets, replace(settings, epochs=epochs, patience=2), args.device
            )
            ended.append(time.perf_counter() - start)
        seconds["ours"].append((ended[1] - ended[0]) / report["curve"][1]["step"])
    ours, other = (1000 * float(np.median(seconds[side])) for side in ("ours", "theirs"))
    print(f"a step of {size} sentences, median of {args.rounds} rounds: theirs {other:.1f} ms, ours {ours:.2f} ms")
    distinct = np.mean([len(lay_out(tokens, offsets, rows).tokens) for rows in batches])
    moved = 6 * distinct * args.dimensions * 4
    print(
        f"{distinct:,.0f} distinct tokens; vectors and two moments of each, read and written: {moved / 1e6:.1f} MB a "
        f"step, {moved / ours / 1e6:.2f} GB/s; a copy reaches {copy_speed() / 1e9:.1f} GB/s"
    )
    print(f"ratio: {other / ours:.1f}")


if __name__ == "__main__":
    run(main)
