"""Time the embedding of texts by a released model beside its peers, alternating, on the same cores.

Texts are distinct, also between rounds. First come the seconds and the memory that loading takes, for each model in a
process of its own. The last line is the ratio of sentences per second between the release's int8 model and the first
peer, on short texts, each at its fastest number of threads; the line before it is the ratio with one thread.
"""

import argparse
import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from lib.embedder import load_embedder
from lib.job.command import InputError, run
from lib.results import fastest
from lib.shards import read_sentences
from measure_speed import ROUNDS, TEXTS, loading, measure, processor, seconds_of, turned, use_threads


def main(argv: list[str]) -> None:
    """Time a release folder and its peers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", type=Path, required=True, help="a folder of results/<run>/release/")
    parser.add_argument("--peers", type=Path, nargs="+", required=True, help="folders of models; a transformer first")
    parser.add_argument("--sentences", type=Path, required=True, help="the sentence shard to embed")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    int8 = args.release / "int8"
    models = {"int8": int8 if int8.exists() else args.release} | {peer.name: peer for peer in args.peers}
    if int8.exists():
        models["float32"] = args.release
    sentences = list(dict.fromkeys(read_sentences(args.sentences)))[:TEXTS]
    failed: dict[str, str] = {}
    loaded = loading(models, sentences, failed)
    rows = measure(models, sentences, args.threads, failed)
    if failed:
        raise InputError("; ".join(f"{name}: {why}" for name, why in failed.items()))
    print(f"{processor()}; {len(sentences):,} sentences")
    for name, taken in loaded.items():
        print(f"{name}: loaded in {taken['seconds']:.2f} s, {taken['megabytes']:,.0f} MB of memory")
    for row in rows:
        one = row.get("milliseconds")
        alone = f", latency {one['p50']:.2f} ms (median), {one['p99']:.2f} ms (99th percentile)" if one else ""
        rate = f"{row['texts_per_second']:,.1f} {row['texts']} texts per second"
        print(f"{row['model']}, {row['threads']} thread(s): {rate}{alone}")
    for name, row in fastest(rows).items():
        use_threads(row["threads"])
        embed = load_embedder(models[name], "cpu")
        taken = median(seconds_of(embed, turned(sentences[:1000], turn)) for turn in range(ROUNDS))
        print(f"{name}, {row['threads']} thread(s): 1,000 short texts in {taken:.3f} s")
    best, single = fastest(rows), fastest([row for row in rows if row["threads"] == 1])
    ratios = [
        rows_of["int8"]["texts_per_second"] / rows_of[args.peers[0].name]["texts_per_second"]
        for rows_of in (best, single)
    ]
    print(f"ratio with one thread: {ratios[1]:.1f}")
    print(f"ratio: {ratios[0]:.1f}")


if __name__ == "__main__":
    run(main)
