"""mteb tasks: MTEB's own by name, and custom ones over prepared files."""

from pathlib import Path
from typing import Any

import mteb
import polars
from datasets import Dataset, DatasetDict
from mteb.abstasks import AbsTask, AbsTaskClassification, AbsTaskPairClassification, AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata

from lib.command import InputError

TYPES = {
    "STS": (AbsTaskSTS, "cosine_spearman"),
    "Classification": (AbsTaskClassification, "accuracy"),
    "PairClassification": (AbsTaskPairClassification, "max_ap"),
}
BENCHMARK = "MTEB(eng, v1)"


class ListDataset(Dataset):
    """A data set whose columns are plain lists.

    mteb 2.26 and scikit-learn go through a column item by item, and datasets 5 answers each item with a slice of a
    table: most of an evaluation's time. The scores are the same.
    """

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(slice(None))[key] if isinstance(key, str) else super().__getitem__(key)


def with_list_columns(dataset: Any) -> Any:
    """The same data, with ``ListDataset`` for each split of each subset."""
    if isinstance(dataset, Dataset):
        return ListDataset(dataset.flatten_indices().data, info=dataset.info, split=dataset.split)
    parts = {name: with_list_columns(part) for name, part in dataset.items()}
    return DatasetDict(parts) if isinstance(dataset, DatasetDict) else parts


def load_data(task: AbsTask) -> None:
    """Load a task's data, with columns that are quick to go through."""
    task.load_data()
    task.dataset = with_list_columns(task.dataset)


def mteb_task(name: str) -> AbsTask:
    """One of mteb's tasks: as MTEB(eng, v1) scores it where it is of that benchmark, else its English test split.

    Raises:
        InputError: mteb has no such task, or it is of a type that this pipeline does not average.
    """
    for task in mteb.get_benchmark(BENCHMARK).tasks:
        if task.metadata.name == name and task.metadata.type in TYPES:
            return task
    try:
        task = mteb.get_task(name, languages=["eng"], eval_splits=["test"], exclusive_language_filter=True)
    except KeyError as error:
        raise InputError(
            f"evaluation.tasks: {name!r}: expected a custom task or one of mteb's: {error.args[0]}"
        ) from error
    if task.metadata.type not in TYPES:
        raise InputError(f"evaluation.tasks: {name!r} is of type {task.metadata.type}, expected one of {list(TYPES)}")
    return task


def custom_task(name: str, task_type: str, folder: Path) -> AbsTask:
    """A task over the parquet splits in ``folder`` that ``prepare_task.py`` wrote, scored by mteb's own class."""
    base, main_score = TYPES[task_type]
    metadata = TaskMetadata(
        name=name,
        description=f"custom task {name}",
        type=task_type,
        dataset={"path": f"custom/{name}", "revision": "local"},
        category="t2c" if task_type == "Classification" else "t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score=main_score,
    )

    class CustomTask(base):
        def load_data(self, **_) -> None:
            if not self.data_loaded:
                splits = {path.stem: polars.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
                self.dataset = DatasetDict({name: Dataset.from_polars(frame) for name, frame in splits.items()})
                self.data_loaded = True

    CustomTask.metadata = metadata
    CustomTask.__name__ = name
    return CustomTask()
