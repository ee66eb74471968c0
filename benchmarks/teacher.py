"""Time a teacher's embedding of sentences: ours beside tokenlearn and sentence-transformers, on the same device.

All sides take turns in one process. tokenlearn's is `tokenlearn.featurize.featurize` with a sentence-transformers
model: batches of 32 as the sentences come, float32, its files included. sentence-transformers' is its `encode`, which
sorts by length, with the batch size that is fastest on a part of the sentences, in float32 and in our format. Ours is
`Teacher.embed` as the pipeline runs it. Our embeddings are compared with tokenlearn's, and our matrix products with the
rate that one large product reaches on the device. How many of the batches' tokens are padding is counted for all
sentences that are given, on each device, without embedding them. The last line is the ratio of our sentences/s to
tokenlearn's.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenlearn.featurize import featurize
from transformers import AutoTokenizer, BertConfig, BertModel

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from lib.job.command import run
from lib.packed_linear import PackedLinear
from lib.shards import read_sentences
from lib.teacher import SENTENCES_AT_ONCE, TOKENS_PER_BATCH, Teacher, cosines


def random_bert_large(tokenizer: Path, folder: Path) -> Path:
    """A BERT of mxbai-embed-large-v1's shape with random weights and the tokenizer of another folder."""
    words = AutoTokenizer.from_pretrained(tokenizer, trust_remote_code=False)
    words.model_max_length = 512
    shape = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(words), **shape)).to(torch.bfloat16).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def work_per_token(teacher: Teacher) -> int:
    """Floating point operations of a token's matrix products, without those of attention."""
    weights = (
        part.weight for part in teacher.model.encoder.modules() if isinstance(part, torch.nn.Linear | PackedLinear)
    )
    return 2 * sum(weight.numel() for weight in weights)


def product_rate(device: str, dtype: torch.dtype) -> float:
    """Floating point operations per second of a large matrix product."""
    size = 8192 if device == "cuda" else 2048
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        left @ right
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / float(np.median(seconds))


def featurized(model: SentenceTransformer, sentences: list[str]) -> tuple[np.ndarray, float]:
    """Embeddings of sentences by tokenlearn, and the seconds that they took."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        featurize(({"text": text} for text in sentences), model, folder, len(sentences), 32, "text")
        seconds = time.perf_counter() - start
        files = sorted(Path(folder).glob("*.npy"), key=lambda path: int(path.stem.split("_")[1]))
        return np.concatenate([np.load(file) for file in files]), seconds


def encoded(model: SentenceTransformer, sentences: list[str], batch_size: int) -> float:
    """The seconds that sentence-transformers takes to embed sentences, sorted by length."""
    start = time.perf_counter()
    model.encode(sentences, batch_size=batch_size, show_progress_bar=False)
    return time.perf_counter() - start


def best_batch_size(model: SentenceTransformer, sentences: list[str], sizes: list[int]) -> int:
    """The batch size with which sentence-transformers is fastest."""
    encoded(model, sentences, sizes[0])  # the first call is slower
    seconds = {size: encoded(model, sentences, size) for size in sizes}
    print("batch sizes:", ", ".join(f"{size} {len(sentences) / took:,.0f}/s" for size, took in seconds.items()))
    return min(seconds, key=lambda size: seconds[size])


def ours(teacher: Teacher, sentences: list[str]) -> tuple[np.ndarray, float]:
    """Embeddings of sentences by the pipeline, as it keeps them, and the seconds that they took."""
    start = time.perf_counter()
    embeddings = np.empty((len(sentences), teacher.hidden_size), np.float16)
    for rows, batch in teacher.embed(sentences):
        embeddings[rows] = batch
    return embeddings, time.perf_counter() - start


def padding(teacher: Teacher, lengths: np.ndarray, tokens_per_batch: int) -> tuple[float, float]:
    """Of the tokens in the teacher's batches, the share of padding and the share in batches that have some.

    Args:
        teacher: decides where a batch ends.
        lengths: the sentences' tokens.
        tokens_per_batch: the largest number of tokens in a batch.
    """
    teacher.tokens_per_batch = tokens_per_batch
    all_tokens, with_padding = 0, 0
    for start in range(0, len(lengths), SENTENCES_AT_ONCE):
        longest_first, first = -np.sort(-lengths[start : start + SENTENCES_AT_ONCE]), 0
        while first < len(longest_first):
            last = teacher.batch_end(longest_first, first)
            size = int(longest_first[first]) * (last - first)
            all_tokens += size
            with_padding += size if longest_first[last - 1] < longest_first[first] else 0
            first = last
    return 1 - int(lengths.sum()) / all_tokens, with_padding / all_tokens


def main(argv: list[str]) -> None:
    """Time all sides, alternating."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, required=True, help="a transformers folder with mean pooling")
    parser.add_argument("--bert-large", action="store_true", help="use only its tokenizer, for a random BERT-large")
    parser.add_argument("--sentences", type=Path, nargs="+", required=True, help="sentence shards")
    parser.add_argument("--count", type=int, default=20000, help="number of sentences that all sides embed")
    parser.add_argument("--more", type=int, default=0, help="number of further sentences that only ours embeds")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[16, 32, 64, 128, 256], help="sentence-transformers' to try"
    )
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    sentences = [text for shard in args.sentences for text in read_sentences(shard)]
    with tempfile.TemporaryDirectory() as folder:
        source = random_bert_large(args.teacher, Path(folder)) if args.bert_large else args.teacher
        teacher = Teacher(source, 512 if args.bert_large else 256, "mean", args.device)
        peers = {}
        for dtype in dict.fromkeys([torch.float32, teacher.model.dtype]):
            layers = Transformer(str(source), model_kwargs={"dtype": dtype}), Pooling(teacher.hidden_size)
            peers[f"sentence-transformers, {dtype}"] = SentenceTransformer(modules=layers, device=args.device)
    print(f"{args.device}, ours in {teacher.model.dtype}, {args.threads} threads")
    same, part = sentences[: args.count], sentences[: max(args.count // 10, 1)]
    sizes = {name: best_batch_size(peer, part, args.batch_sizes) for name, peer in peers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ["tokenlearn", *peers, "ours"]}
    for _ in range(args.rounds):
        expected, took = featurized(next(iter(peers.values())), same)
        seconds["tokenlearn"].append(took)
        for name, peer in peers.items():
            seconds[name].append(encoded(peer, same, sizes[name]))
        embeddings, took = ours(teacher, same)
        seconds["ours"].append(took)
    embeddings = embeddings.astype(np.float32)
    similarities = cosines(embeddings, expected)
    print(f"{len(same):,} sentences: minimum cosine {similarities.min():.6f}, mean {similarities.mean():.6f}")
    rates = {name: len(same) / float(np.median(times)) for name, times in seconds.items()}
    rate = rates["ours"]
    print(f"median of {args.rounds} rounds, and how many times as fast ours is:")
    for name, other in rates.items():
        batch_size = f", batches of {sizes[name]}" if name in sizes else ""
        print(f"  {name}{batch_size}: {other:,.0f} sentences/s, {rate / other:.2f}")
    if args.more:
        more = sentences[args.count : args.count + args.more]
        rate = len(more) / ours(teacher, more)[1]
        print(f"ours on {len(more):,} more: {rate:,.0f} sentences/s")
    tokens = len(teacher.tokenize(sentences[: args.count]).ids) / args.count
    reached, possible = rate * tokens * work_per_token(teacher), product_rate(args.device, teacher.model.dtype)
    print(
        f"{tokens:.1f} tokens per sentence: {reached / 1e12:.2f} TFLOP/s in the matrix products of real tokens, "
        f"{100 * reached / possible:.0f} % of the {possible / 1e12:.2f} of one large product"
    )
    lengths = np.diff(teacher.tokenize(sentences).offsets)
    for device, tokens_per_batch in TOKENS_PER_BATCH.items():
        padded, mixed = padding(teacher, lengths, tokens_per_batch)
        print(
            f"batches of {len(lengths):,} sentences, {device}: {100 * padded:.1f} % padding, "
            f"{100 * mixed:.0f} % of the tokens in batches of different lengths"
        )
    print(f"217,000 sentences take {217e3 / rate / 60:.1f} min, 2,000,000 {2e6 / rate / 60:.1f} min")
    print(f"ratio: {rates['ours'] / rates['tokenlearn']:.2f}")


if __name__ == "__main__":
    run(main)
