"""Train a static model to reproduce target embeddings of the sampled sentences.

``pretrained`` learns the teacher's embeddings. A born-again generation starts from ``distilled`` again and learns the
embeddings of the previous generation (Furlanello et al. 2018). Only the targets differ.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from lib.checkpoint import checkpoint_of, remove_checkpoint
from lib.context import read_context
from lib.job.command import InputError, run
from lib.job.device import device_name
from lib.job.files import HASHES, scratch, sha256, write_json
from lib.job.progress import say
from lib.job.provenance import versions
from lib.shards import Rows, read_sample, shard_path
from lib.static_model import load_stage, save_static_model, tokenize
from lib.targets import previous_targets, targets_of_all
from lib.training import add_training_arguments, set_up, train


def main(argv: list[str]) -> None:
    """Train one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", type=Path, required=True, help="the initial static model")
    parser.add_argument("--sentences", type=Path, required=True, help="the folder of the sentence shards")
    parser.add_argument("--count", type=int, required=True, help="number of sentences to use, from the first shard on")
    targets = parser.add_mutually_exclusive_group(required=True)
    targets.add_argument("--embeddings", type=Path, nargs="+", help="each teacher's folder of embedding shards")
    targets.add_argument("--previous", type=Path, help="the static model whose embeddings are the targets")
    parser.add_argument("--context", type=Path, help="the first teacher's folder of embedding shards and token sums")
    add_training_arguments(parser)
    parser.add_argument("--code", type=Path, nargs="*", default=[], help="files of code that the vectors follow from")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    args = parser.parse_args(argv)
    settings, device = set_up(args)
    if (settings.initial == "contextual") != (args.context is not None):
        raise InputError("--context: expected with --initial contextual, and only then")

    model = load_stage(args.student)
    sentences, shards = read_sample(args.sentences, args.count)
    tokens, offsets = tokenize(model, sentences)
    with scratch(args.output.with_name(f"{args.output.name}.targets")) as path:
        inputs = [args.student / HASHES, *(shard_path(args.sentences, i, "parquet") for i in range(shards))]
        if args.previous:
            wanted: Rows = previous_targets(load_stage(args.previous), sentences, path)
            inputs += [args.previous / HASHES]
        else:
            reduced = settings.target_dimensions(model.dim)
            wanted = targets_of_all(args.embeddings, args.sentences, shards, args.count, reduced)
            inputs += [shard_path(folder, i, "json") for folder in args.embeddings for i in range(shards)]
        context = None
        if args.context:
            context = read_context(args.context, args.sentences, shards, model)
            inputs += [shard_path(args.context, i, "json") for i in range(shards)]
        del sentences
        checkpoint = checkpoint_of(args.output, [*args.code, *inputs], args.count, asdict(settings), device)
        say(f"train: {args.count:,} sentences, {len(tokens):,} tokens, targets of {wanted.shape[1]} dimensions")
        trained, report = train(model, tokens, offsets, wanted, settings, device, checkpoint, context)
    save_static_model(trained, args.output)
    report |= {
        "settings": asdict(settings),
        "targets": "previous generation" if args.previous else "teacher",
        "model_sha256": sha256(args.output / "model.safetensors"),
        "student_sha256": sha256(args.student / "model.safetensors"),
        "device": device_name(device),
        "versions": versions("torch", "numpy", "model2vec", "tokenizers"),
    }
    write_json(args.output / "training.json", report)
    remove_checkpoint(args.output)


if __name__ == "__main__":
    run(main)
