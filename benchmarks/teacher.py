"""Time a teacher's embedding of sentences: ours against tokenlearn's featurize, alternating, on the same device.

Theirs is `tokenlearn.featurize.featurize` with a sentence-transformers model, batches of 32 as the sentences come and
float32, its files included; ours is `Teacher.embed` as the pipeline runs it. The embeddings of both are compared, and
the matrix products of ours with the rate that one large product reaches on the device. The last line is the ratio of
the sentences per second.
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
from lib.shards import read_sentences
from lib.teacher import Teacher


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
    weights = (part.weight for part in teacher.model.encoder.modules() if isinstance(part, torch.nn.Linear))
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


def theirs(model: SentenceTransformer, sentences: list[str]) -> tuple[np.ndarray, float]:
    """Embeddings of sentences by tokenlearn, and the seconds that they took."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        featurize(({"text": text} for text in sentences), model, folder, len(sentences), 32, "text")
        seconds = time.perf_counter() - start
        files = sorted(Path(folder).glob("*.npy"), key=lambda path: int(path.stem.split("_")[1]))
        return np.concatenate([np.load(file) for file in files]), seconds


def ours(teacher: Teacher, sentences: list[str]) -> tuple[np.ndarray, float]:
    """Embeddings of sentences by the pipeline, as it keeps them, and the seconds that they took."""
    start = time.perf_counter()
    embeddings = np.empty((len(sentences), teacher.hidden_size), np.float16)
    for rows, batch in teacher.embed(sentences):
        embeddings[rows] = batch
    return embeddings, time.perf_counter() - start


def main(argv: list[str]) -> None:
    """Time both sides, alternating."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, required=True, help="a transformers folder with mean pooling")
    parser.add_argument("--bert-large", action="store_true", help="use only its tokenizer, for a random BERT-large")
    parser.add_argument("--sentences", type=Path, nargs="+", required=True, help="sentence shards")
    parser.add_argument("--count", type=int, default=20000, help="number of sentences that both embed")
    parser.add_argument("--more", type=int, default=0, help="number of further sentences that only ours embeds")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    sentences = [text for shard in args.sentences for text in read_sentences(shard)]
    with tempfile.TemporaryDirectory() as folder:
        source = random_bert_large(args.teacher, Path(folder)) if args.bert_large else args.teacher
        teacher = Teacher(source, 512 if args.bert_large else 256, "mean", args.device)
        layers = Transformer(str(source), model_kwargs={"dtype": torch.float32}), Pooling(teacher.hidden_size)
        peer = SentenceTransformer(modules=layers, device=args.device)
    print(f"{args.device}, ours in {teacher.model.dtype}, {args.threads} threads")
    rates = {"ours": [], "theirs": []}
    for _ in range(args.rounds):
        expected, seconds = theirs(peer, sentences[: args.count])
        rates["theirs"].append(args.count / seconds)
        embeddings, seconds = ours(teacher, sentences[: args.count])
        rates["ours"].append(args.count / seconds)
    embeddings = embeddings.astype(np.float32)
    cosines = (embeddings * expected).sum(1) / np.linalg.norm(embeddings, axis=1) / np.linalg.norm(expected, axis=1)
    print(f"{len(embeddings):,} sentences: minimum cosine {cosines.min():.6f}, mean {cosines.mean():.6f}")
    other, rate = (float(np.median(rates[side])) for side in ("theirs", "ours"))
    print(f"median of {args.rounds} rounds: theirs {other:,.0f} sentences/s, ours {rate:,.0f} sentences/s")
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
    print(f"217,000 sentences take {217e3 / rate / 60:.1f} min, 2,000,000 {2e6 / rate / 60:.1f} min")
    print(f"ratio: {rate / other:.2f}")


if __name__ == "__main__":
    run(main)
