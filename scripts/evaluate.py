"""Score one model on tasks with mteb, in one process, and keep mteb's own JSON of each, and a bootstrap of its score.

A score is kept at once, under a hash of all that it follows from; a run that was interrupted, in which a task failed,
or to which a task was added, scores only what it lacks.
"""

import argparse
import glob
import hashlib
import json
import shutil
import sys
import tempfile
import traceback
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import polars
from mteb.abstasks import AbsTask
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder
from mteb.results import TaskResult
from torch.utils.data import DataLoader

from lib.embedder import Embedder, load_embedder
from lib.job.command import InputError, run
from lib.job.device import add_device_arguments, job_device
from lib.job.files import check_hashes, remove, replacing, sha256, write_json
from lib.job.progress import progress, say
from lib.job.provenance import versions
from lib.resample import average_precision, mean, resampled, spearman
from lib.static_model import REPORTS
from lib.tasks import load_task

LIBRARIES = ["mteb", "model2vec", "sentence-transformers", "transformers", "scikit-learn", "scipy", "numpy", "torch"]


class Encoder(AbsEncoder):
    """A model as mteb sees it; a text that comes many times in a task is embedded once."""

    def __init__(self, embed: Embedder, name: str, revision: str) -> None:
        """Wrap a function from texts to ``[texts, dimensions]``; name and revision are what mteb writes down."""
        self.embed = embed
        self.mteb_model_meta = ModelMeta.create_empty({"name": name, "revision": revision})

    def encode(self, inputs: DataLoader, **_: Any) -> np.ndarray:
        """Embed the texts of all batches: ``[texts, dimensions]`` float32."""
        texts = inputs.dataset[:]["text"]  # the batches come row by row, each through a table
        place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        embedded = self.embed(list(place)).astype(np.float32, copy=False)
        return embedded if len(place) == len(texts) else embedded[[place[text] for text in texts]]


def content_hash(paths: Iterable[Path]) -> str:
    """A hash of files' contents, whatever their names."""
    return hashlib.sha256("".join(map(sha256, paths)).encode()).hexdigest()


def model_hash(folder: Path) -> str:
    """A hash of what a model's folder holds, but for the reports on how it was made."""
    return content_hash(path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in REPORTS)


def code_hash() -> str:
    """A hash of the code that scores: this file, the helper modules that it imports, and the libraries' versions."""
    here = Path(__file__).parent
    modules = [Path(file) for file in (getattr(module, "__file__", None) for module in sys.modules.values()) if file]
    own = content_hash([Path(__file__), *sorted(path for path in modules if path.parent == here / "lib")])
    return own + "".join(versions(*LIBRARIES).values())


def is_whole(kept: Path) -> bool:
    """Whether a kept score and its bootstrap are as they were written."""
    try:
        return kept.with_suffix(".sha256").read_text() == content_hash([kept, kept.with_suffix(".npy")])
    except (OSError, ValueError):
        return False


def kept_path(folder: Path, data: Path, *parts: object) -> Path:
    """Where a task's score is kept: under a hash of its data and of ``parts``."""
    key = hashlib.sha256("\n".join([sha256(data), *map(str, parts)]).encode()).hexdigest()
    return folder / f"{data.stem}-{key[:16]}.json"


def gold(task: AbsTask, subset: str, split: str, column: str) -> np.ndarray:
    """A column of a task's data, ``[items]``."""
    data = task.dataset if split in task.dataset else task.dataset[subset]
    return np.array(data[split][column])


def resample(task: AbsTask, result: TaskResult, predictions: dict, seed: int) -> np.ndarray:
    """The main score over items drawn with return: the pairs of STS and pair classification; of classification the
    experiments that mteb makes, each with a training sample of its own.

    Args:
        task: what was scored.
        result: mteb's scores.
        predictions: mteb's similarities of pairs, by subset and split; nothing where it classified.
        seed: of the draws, the same for all models; each task has its own draws of it.

    Returns:
        ``[RESAMPLES]`` float64: each the mean over subsets, like the score itself.
    """
    found, seeds = [], [seed, zlib.crc32(task.metadata.name.encode())]
    for split, subsets in result.scores.items():
        for scores in subsets:
            name = scores["hf_subset"]
            if task.metadata.type == "Classification":
                values = np.array([each[task.metadata.main_score] for each in scores["scores_per_experiment"]])
                statistic = mean(values)
            elif task.metadata.type == "STS":
                values = np.array(predictions[name][split]["cosine_scores"])
                statistic = spearman(values, gold(task, name, split, "score"))
            else:
                values = predictions[name][split]
                signs = {"cosine_scores": 1, "dot_scores": 1, "euclidean_distances": -1, "manhattan_distances": -1}
                best = max(signs, key=lambda kind: scores[f"{kind.split('_')[0]}_ap"])  # mteb's max_ap is of the best
                values = signs[best] * np.array(values[best])
                statistic = average_precision(values, gold(task, name, split, task.label_column_name))
            found.append(resampled(statistic, len(values), seeds))
    return np.mean(found, axis=0)


def score(task: AbsTask, encoder: Encoder, path: Path, seed: int) -> None:
    """Score a model on a task; write mteb's JSON, and the bootstrap beside it, in place of what was kept of the task.

    Raises:
        InputError: the score is not finite.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = mteb.evaluate(
            encoder,
            task,
            cache=None,
            overwrite_strategy="always",
            prediction_folder=None if task.metadata.type == "Classification" else folder,
            show_progress_bar=False,
            co2_tracker=False,
        )
        files = list(Path(folder).iterdir())
        predictions = json.loads(files[0].read_text(encoding="utf-8")) if files else {}
    (task_result,) = result.task_results
    name, value = task.metadata.name, task_result.get_score()
    if not np.isfinite(value):
        raise InputError(f"task {name}: expected a score, found {value}; are its ratings, or its texts, all equal?")
    obsolete = [other for other in path.parent.glob(f"{glob.escape(name)}-{'?' * 16}.*") if other.stem != path.stem]
    with replacing(path.with_suffix(".npy")) as temporary, temporary.open("wb") as file:
        np.save(file, resample(task, task_result, predictions, seed))
    with replacing(path) as temporary:
        task_result.to_disk(temporary)
    with replacing(path.with_suffix(".sha256")) as temporary:
        temporary.write_text(content_hash([path, path.with_suffix(".npy")]))
    for other in obsolete:
        other.unlink()
    meta = encoder.mteb_model_meta
    say(f"{meta.name} {meta.revision} {name}: {100 * value:.2f}")


def main(argv: list[str]) -> None:
    """Evaluate one model on all tasks that it has no score of yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the model's folder")
    parser.add_argument("--name", required=True, help="the model's name in the results")
    parser.add_argument("--revision", required=True, help="the stage, written as mteb's model revision")
    parser.add_argument("--tasks", type=Path, nargs="+", required=True, help="the tasks' data, files of their names")
    parser.add_argument("--custom", type=json.loads, default={}, help="JSON: the types of custom tasks, by name")
    add_device_arguments(parser)
    parser.add_argument("--seed", type=int, required=True, help="of the bootstrap")
    parser.add_argument("--kept", type=Path, required=True, help="the folder of scores that were had before")
    parser.add_argument("--resampled", type=Path, required=True, help="the parquet of resampled scores to write")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write <task>.json files into")
    args = parser.parse_args(argv)
    device = job_device(args)
    if args.revision != "baseline":
        check_hashes(args.model)
    follows = [model_hash(args.model), code_hash(), args.name, args.revision]
    kept = {data: kept_path(args.kept, data, *follows, args.seed, args.custom.get(data.stem)) for data in args.tasks}
    missing = [data for data, path in kept.items() if not is_whole(path)]
    failed: dict[str, str] = {}
    if missing:
        encoder = Encoder(load_embedder(args.model, device), args.name, args.revision)
    for data in progress(missing, len(missing), "evaluate", "tasks"):
        try:
            score(load_task(data.stem, data, args.custom.get(data.stem)), encoder, kept[data], args.seed)
        except InputError as error:
            failed[data.stem] = str(error)
        except Exception:
            traceback.print_exc()
            failed[data.stem] = f"task {data.stem}: see above"
    report = args.kept / "failed.json"
    if failed:
        write_json(
            report, {"failed": failed, "kept": {d.stem: p.name for d, p in kept.items() if d.stem not in failed}}
        )
        raise InputError(f"{'; '.join(failed.values())} (the other {len(kept) - len(failed)} tasks' scores are kept)")
    remove(report)
    with replacing(args.resampled) as temporary:
        scores = {data.stem: np.load(path.with_suffix(".npy")) for data, path in kept.items()}
        polars.DataFrame(scores).write_parquet(temporary)
    for data, path in kept.items():
        with replacing(args.output / f"{data.stem}.json") as temporary:
            shutil.copyfile(path, temporary)


if __name__ == "__main__":
    run(main)
