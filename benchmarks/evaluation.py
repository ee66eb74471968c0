"""Time the scoring of a static model on tasks: ours against mteb called once per task, alternating, on the same cores.

mteb's side loads the model with its own wrapper of sentence-transformers and the task's data with `datasets`.
Neither side counts imports or downloads. The scores of both are compared. The last line is the ratio of the times.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import mteb
import torch
from datasets import Dataset, DatasetDict
from mteb.models import SentenceTransformerEncoderWrapper

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from evaluate import score_and_cache
from lib.embedder import load_embedder
from lib.job.command import InputError, run
from lib.job.files import read_json
from lib.scoring import Encoder
from lib.task_data import read_splits
from lib.tasks import load_task, mteb_task


def ours(model: Path, data: Path) -> float:
    """The main score by `evaluate.py`, with its bootstrap."""
    encoder = Encoder(load_embedder(model, "cpu"), "model", "stage")
    with tempfile.TemporaryDirectory() as folder:
        score_and_cache(load_task(data.stem, data, None), encoder, Path(folder) / "score", {"seed": 42})
        result = read_json(Path(folder) / "score" / "result.json")["scores"]["test"]
    return sum(subset["main_score"] for subset in result) / len(result)


def theirs(model: Path, data: Path) -> float:
    """The main score by mteb alone."""
    task = mteb_task(data.stem)
    splits: dict[str, DatasetDict] = {}
    for (subset, split), table in read_splits(data).items():
        splits.setdefault(subset, DatasetDict())[split] = Dataset(table)
    task.dataset = splits["default"] if list(splits) == ["default"] else splits
    task.data_loaded = True
    encoder = SentenceTransformerEncoderWrapper(str(model), device="cpu")
    result = mteb.evaluate(
        encoder, task, cache=None, overwrite_strategy="always", show_progress_bar=False, co2_tracker=False
    )
    return result.task_results[0].get_score()


def main(argv: list[str]) -> None:
    """Time both sides on each task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a static model's folder, in floating point")
    parser.add_argument("--tasks", type=Path, nargs="+", required=True, help="the tasks' data, files of mteb's names")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    seconds = {ours: 0.0, theirs: 0.0}
    ours(args.model, args.tasks[0])  # neither side counts what is loaded once
    for data in args.tasks:
        scores, taken = {}, {}
        for side in (theirs, ours):
            start = time.perf_counter()
            scores[side] = side(args.model, data)
            taken[side] = time.perf_counter() - start
            seconds[side] += taken[side]
        if abs(scores[ours] - scores[theirs]) > 1e-4:
            raise InputError(f"{data.stem}: expected mteb's score, {scores[theirs]}, found {scores[ours]}")
        print(f"{data.stem}: mteb {taken[theirs]:.1f} s, ours {taken[ours]:.1f} s, score {100 * scores[ours]:.2f}")
    print(f"ratio: {seconds[theirs] / seconds[ours]:.1f}")


if __name__ == "__main__":
    run(main)
