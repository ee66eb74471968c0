"""Load the teacher, test it and compare it with its own pipeline, before any other work; write its files' hashes."""

import argparse
from pathlib import Path

import torch

from lib.job.command import run
from lib.job.files import check_hashes, write_json
from lib.job.progress import say
from lib.model_folder import teacher_hashes
from lib.teacher import POOLINGS, Teacher
from lib.teacher_pipeline import compare_with_own


def main(argv: list[str]) -> None:
    """Check one teacher, on the CPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", type=Path, required=True, help="the teacher's folder")
    parser.add_argument("--max-length", type=int, required=True)
    parser.add_argument("--pooling", choices=POOLINGS, required=True)
    parser.add_argument("--prompt", default="", help="text before each sentence")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="the JSON file to write")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    check_hashes(args.teacher, required=False)
    files = teacher_hashes(args.teacher)
    teacher = Teacher(args.teacher, args.max_length, args.pooling, "cpu", args.prompt)
    notes = compare_with_own(teacher, args.teacher)
    write_json(args.output, {"dimensions": teacher.hidden_size, "notes": notes, "files": files})
    say(f"teacher: {type(teacher.model).__name__} with {teacher.hidden_size} dimensions")
    for note in notes:
        say(f"teacher: note: {note}")


if __name__ == "__main__":
    run(main)
