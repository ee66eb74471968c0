"""Check a teacher before the expensive work: weights, width and a first embedding."""

import argparse
from pathlib import Path

import numpy as np

from lib.command import InputError, run
from lib.files import read_json, sha256, write_json
from lib.teacher import POOLINGS, Teacher, check_folder

PROBES = ["A static model looks each token up in a table.", "It averages what it finds."]


def main(argv: list[str]) -> None:
    """Check one teacher and write down what it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, required=True, help="the teacher's folder")
    parser.add_argument("--source", required=True, help="where the config says it comes from")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--pooling", choices=POOLINGS, default="mean")
    parser.add_argument("--dimensions", type=int, required=True, help="of the widest model asked for")
    parser.add_argument("--output", type=Path, required=True, help="the JSON file to write")
    args = parser.parse_args(argv)

    hidden_size = check_folder(args.teacher)
    if args.dimensions > hidden_size:
        raise InputError(
            f"models: dimensions {args.dimensions} asked for, expected at most {hidden_size}, those of {args.source}"
        )
    positions = read_json(args.teacher / "config.json").get("max_position_embeddings", args.max_length)
    if args.max_length > positions:
        raise InputError(f"teacher.max_length: {args.max_length} asked for, expected at most {positions}")
    probe = Teacher(args.teacher, args.max_length, args.pooling, "cpu").embed(PROBES, "check")
    if not np.isfinite(probe).all() or not probe.any(axis=1).all():
        raise InputError(f"teacher {args.source}: expected finite vectors other than zero, found {probe[:, :4]}")
    write_json(
        args.output,
        {
            "source": args.source,
            "sha256": sha256(args.teacher / "model.safetensors"),
            "dimensions": hidden_size,
            "max_length": args.max_length,
            "pooling": args.pooling,
        },
    )


if __name__ == "__main__":
    run(main)
