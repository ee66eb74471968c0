"""Tasks, MTEB's and custom ones, and their data on disk."""

import copy
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pyarrow
from datasets import Dataset, DatasetDict, concatenate_datasets
from mteb.abstasks import AbsTask
from mteb.abstasks.task_metadata import TaskMetadata

from lib.job.command import InputError
from lib.job.files import sha256
from lib.plan.tasks import BENCHMARK, DEVELOPMENT, TYPES
from lib.task_data import ROWS_AT_ONCE, read_splits, write_splits


class ListDataset(Dataset):
    """A data set whose columns are plain lists, each read without the others.

    mteb 2.26 and scikit-learn read a column item by item, and datasets 5 slices a table for each item, which took most
    of the time of an evaluation. The scores are the same.
    """

    def __getitem__(self, key: Any) -> Any:
        return self.select_columns([key])[:][key] if isinstance(key, str) else super().__getitem__(key)


def wanted_splits(task: AbsTask) -> list[str]:
    """The splits that scoring a task needs: those that are scored, and the classifier's training split."""
    return [*task.eval_splits, *([task.train_split] if task.metadata.type == "Classification" else [])]


def unpacked(rows: Dataset) -> Dataset:
    """One row per pair; some pair classifications of mteb hold all pairs as lists in a single row."""
    packed = len(rows) == 1 and all(isinstance(value, list) for value in rows[0].values())
    return Dataset.from_dict(rows[0]) if packed else rows


def halves(rows: Dataset) -> dict[str, Dataset]:
    """Rows divided by a hash of their text: the same text is always in the same half."""
    first = np.array([zlib.crc32(text.encode()) % 2 == 0 for text in rows["text"][:]])
    return {"train": rows.select(np.flatnonzero(first)), "test": rows.select(np.flatnonzero(~first))}


def pairs_of_2012_training(splits: DatasetDict, name: str) -> Dataset:
    """The pairs of STSBenchmark that come from STS12's training set; the others are in test sets of STS12 to STS17.

    Raises:
        InputError: there are none.
    """
    found = []
    for rows in (splits[split] for split in ("train", "validation") if split in splits):
        years = np.array(rows["year"][:] if "year" in rows.features else [])
        found.append(rows.select(np.flatnonzero(years == "2012train")))
    if not sum(map(len, found)):
        raise InputError(f"task {name}: expected rows of the year 2012train, found none in {list(splits)}")
    return concatenate_datasets(found)


def development_splits(task: AbsTask, splits: DatasetDict) -> dict[str, Dataset]:
    """The splits of a development task, used to choose training settings; none of its test split.

    The validation split is scored if there is one, else half of a classification's training split; the other half then
    trains the classifier. STSBenchmark and STS22 are scored on pairs of training sets.

    Raises:
        InputError: the task has none of these.
    """
    name = task.metadata.name
    if name == f"STSBenchmark{DEVELOPMENT}":
        return {"test": pairs_of_2012_training(splits, name)}
    usable = ["train"] if name == f"STS22{DEVELOPMENT}" else ["validation", "dev"]
    scored = next((split for split in usable if split in splits), None)
    if task.metadata.type != "Classification":
        if scored is None:
            raise InputError(f"task {name}: expected the split {' or '.join(usable)}, found {list(splits)}")
        return {"test": splits[scored]}
    return {"train": splits["train"], "test": splits[scored]} if scored else halves(splits["train"])


def write_data(task: AbsTask, path: Path) -> None:
    """Write the splits of a loaded task that scoring needs, with the columns that they have in common.

    Raises:
        InputError: the data of a development task have no split for it.
    """
    subsets = {"default": task.dataset} if isinstance(task.dataset, DatasetDict) else task.dataset
    splits = {}
    for subset in task.hf_subsets:
        if task.metadata.name.endswith(DEVELOPMENT):
            scored = development_splits(task, subsets[subset])
        else:
            scored = {split: subsets[subset][split] for split in wanted_splits(task)}
        splits |= {(subset, split): unpacked(rows) for split, rows in scored.items()}
    columns = [
        name for name in next(iter(splits.values())).column_names if all(name in s.features for s in splits.values())
    ]

    def tables(rows: Dataset) -> Iterable[pyarrow.Table]:
        return rows.with_format("arrow").iter(ROWS_AT_ONCE)

    write_splits(path, ((subset, split, tables(rows)) for (subset, split), rows in splits.items()), columns)


def read_data(path: Path) -> dict[str, DatasetDict]:
    """The data that ``write_data`` or ``prepare_task.py`` wrote: subset -> split -> rows, mapped from the file.

    Raises:
        InputError: the file is damaged.
    """
    dataset: dict[str, DatasetDict] = {}
    for (subset, split), table in read_splits(path).items():
        rows = ListDataset(table, fingerprint=f"{path}-{subset}-{split}")
        dataset.setdefault(subset, DatasetDict())[split] = rows
    return dataset


def mteb_task(name: str) -> AbsTask:
    """One of mteb's tasks, as MTEB(eng, v1) scores it if it is in that benchmark, else its English test split.

    A name that ends in ``-dev`` gives the same task for its development splits, which ``write_data`` makes.

    Raises:
        InputError: mteb has no such task, or its type is not supported.
    """
    if name.endswith(DEVELOPMENT):
        task = copy.copy(mteb_task(name.removesuffix(DEVELOPMENT)))  # mteb's own task keeps its name
        task.metadata = task.metadata.model_copy(update={"name": name})
        return task
    for task in mteb.get_benchmark(BENCHMARK).tasks:
        if task.metadata.name == name and task.metadata.type in TYPES:
            return task
    try:
        task = mteb.get_task(name, languages=["eng"], eval_splits=["test"], exclusive_language_filter=True)
    except KeyError as error:
        unknown = str(error.args[0]).removeprefix("KeyError: ")
        raise InputError(f"evaluation.tasks: {name!r}: expected a custom task or one of mteb's: {unknown}") from error
    if "test" not in task.metadata.eval_splits:
        raise InputError(f"evaluation.tasks: {name!r}: expected a test split, found {task.metadata.eval_splits}")
    if task.metadata.type not in TYPES:
        raise InputError(f"evaluation.tasks: {name!r} is of type {task.metadata.type}, expected one of {list(TYPES)}")
    if task.metadata.main_score != TYPES[task.metadata.type].main_score:
        raise InputError(
            f"evaluation.tasks: {name!r} is scored by {task.metadata.main_score}, expected "
            f"{TYPES[task.metadata.type].main_score}, like the other tasks of its type"
        )
    return task


def custom_task(name: str, task_type: str, revision: str) -> AbsTask:
    """A custom task, scored by mteb's class for its type; its revision identifies the data."""
    base = getattr(mteb.abstasks, f"AbsTask{task_type}")
    metadata = TaskMetadata(
        name=name,
        description=f"custom task {name}",
        type=task_type,
        dataset={"path": f"custom/{name}", "revision": revision},
        category="t2c" if task_type == "Classification" else "t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score=TYPES[task_type].main_score,
    )
    return type(name, (base,), {"metadata": metadata})()


def load_task(name: str, path: Path, custom_type: str | None) -> AbsTask:
    """A task with its data from a file, without a request to the hub."""
    task = custom_task(name, custom_type, sha256(path)) if custom_type else mteb_task(name)
    data = read_data(path)
    task.dataset = data["default"] if list(data) == ["default"] else data
    task.data_loaded = True
    return task
