"""Score one model on tasks with mteb, in one process: mteb's own JSON for each task, and a bootstrap of it.

Each score is cached at once with the hashes of its inputs. A run that was interrupted, that had a failed task, or that
has a new task scores only the missing tasks.
"""

import argparse
import hashlib
import json
import shutil
import tempfile
import time
import traceback
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars
from mteb.abstasks import AbsTask
from mteb.results import TaskResult

from lib.embedder import load_embedder
from lib.job.command import InputError, first_line, run
from lib.job.device import add_device_arguments, job_device
from lib.job.files import check_hashes, read_json, remove, replacing, sha256, write_hashes, write_json
from lib.job.progress import progress, say
from lib.job.provenance import versions
from lib.resample import average_precision, mean, resampled, spearman
from lib.scoring import Encoder, meta_of, score
from lib.static_model import REPORTS
from lib.tasks import load_task

LIBRARIES = ["mteb", "model2vec", "sentence-transformers", "transformers", "scikit-learn", "scipy", "numpy", "torch"]


def content_hash(paths: Iterable[Path]) -> str:
    """A hash of files' contents, whatever their names."""
    return hashlib.sha256("".join(map(sha256, paths)).encode()).hexdigest()


def model_hash(folder: Path) -> str:
    """A hash of the files in a model's folder, except the reports."""
    return content_hash(path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in REPORTS)


# not mteb's ResultCache: it finds a score by the names of model and task, whatever is in their files, stops at a
# damaged score, and has no place for the bootstrap
def is_cached(folder: Path, key: dict) -> bool:
    """Whether a folder holds an undamaged score for ``key``."""
    try:
        check_hashes(folder)
        return read_json(folder / "key.json") == key
    except (InputError, OSError):
        return False


def gold(task: AbsTask, subset: str, split: str, column: str) -> np.ndarray:
    """A column of a task's data, ``[items]``."""
    data = task.dataset if split in task.dataset else task.dataset[subset]
    return np.array(data[split][column])


def resample(task: AbsTask, result: TaskResult, predictions: dict, seed: int) -> np.ndarray:
    """The main score over items sampled with replacement: the pairs of STS and pair classification; of classification
    the experiments that mteb makes, each with a training sample of its own.

    Args:
        task: what was scored.
        result: mteb's scores.
        predictions: mteb's similarities of pairs, by subset and split; nothing where it classified.
        seed: of the sampling, the same for all models; with it each task has samples of its own.

    Returns:
        ``[RESAMPLES]`` float64: each the mean over subsets, like the score itself.
    """
    samples, seeds = [], [seed, zlib.crc32(task.metadata.name.encode())]
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
            samples.append(resampled(statistic, len(values), seeds))
    return np.mean(samples, axis=0)


def score_and_cache(task: AbsTask, encoder: Encoder, folder: Path, key: dict) -> None:
    """Score a model on a task.

    Args:
        task: with its data.
        encoder: the model.
        folder: to write ``result.json`` (mteb's), ``resampled.npy`` (its bootstrap) and ``key.json`` into; an older
            one is replaced.
        key: hashes of the score's inputs, and the ``seed`` of the bootstrap.

    Raises:
        InputError: the score is not finite.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        result = score(task, encoder, Path(temporary))
        files = list(Path(temporary).iterdir())
        predictions = json.loads(files[0].read_text(encoding="utf-8")) if files else {}
    with replacing(folder) as temporary_folder:
        temporary_folder.mkdir()
        result.to_disk(temporary_folder / "result.json")
        np.save(temporary_folder / "resampled.npy", resample(task, result, predictions, key["seed"]))
        write_json(temporary_folder / "key.json", key)
        write_hashes(temporary_folder)
    meta = encoder.mteb_model_meta
    taken = f"in {time.monotonic() - start:.1f} s"
    say(f"{meta.name} {meta.revision} {task.metadata.name}: {100 * result.get_score():.2f} {taken}")


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
    parser.add_argument("--code", type=Path, nargs="*", default=[], help="files of code that scores follow from")
    parser.add_argument("--cache", type=Path, required=True, help="the folder that keeps scores for another run")
    parser.add_argument("--resampled", type=Path, required=True, help="the parquet of resampled scores to write")
    parser.add_argument("--output", type=Path, required=True, help="the folder of <task>.json and model_meta.json")
    args = parser.parse_args(argv)
    device = job_device(args)
    if args.revision != "baseline":
        check_hashes(args.model)
    key = {"model": model_hash(args.model), "code": content_hash(args.code), "seed": args.seed}
    key |= versions(*LIBRARIES)
    keys = {data: key | {"data": sha256(data), "type": args.custom.get(data.stem)} for data in args.tasks}
    cached = {data: args.cache / data.stem for data in args.tasks}
    missing = [data for data in args.tasks if not is_cached(cached[data], keys[data])]
    failed: dict[str, str] = {}
    report = args.cache / "failed.json"
    remove(report)
    if missing:
        encoder = Encoder(load_embedder(args.model, device), args.name, args.revision)
    for data in progress(missing, len(missing), "evaluate", "tasks"):
        try:
            score_and_cache(load_task(data.stem, data, args.custom.get(data.stem)), encoder, cached[data], keys[data])
        except (InputError, OSError) as error:
            failed[data.stem] = first_line(error)
        except Exception as error:
            traceback.print_exc()
            kind = type(error).__name__
            failed[data.stem] = f"task {data.stem}: unexpected {kind}: {first_line(error)} (traceback above)"
    if failed:
        write_json(report, failed)
        others = len(args.tasks) - len(failed)
        raise InputError(f"{'; '.join(failed.values())} (the other {others} tasks' scores are cached)")
    with replacing(args.resampled) as temporary:
        resampled = {data.stem: np.load(folder / "resampled.npy") for data, folder in cached.items()}
        polars.DataFrame(resampled).write_parquet(temporary)
    write_json(args.output / "model_meta.json", meta_of(args.name, args.revision).model_dump(mode="json"))
    for data, folder in cached.items():
        with replacing(args.output / f"{data.stem}.json") as temporary:
            shutil.copyfile(folder / "result.json", temporary)


if __name__ == "__main__":
    run(main)
