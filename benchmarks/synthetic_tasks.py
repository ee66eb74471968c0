"""Write synthetic texts of the sizes of MTEB's 25 tasks, to measure the time and memory of scripts that read them.

mteb's statistics give the numbers of rows, distinct texts and classes of a split, and the average length of texts.
Words are sampled by Zipf's law; frequent words are short.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from lib.job.command import run
from lib.job.progress import say
from lib.plan.tasks import TYPE_OF
from lib.task_data import ROWS_AT_ONCE, write_splits
from lib.tasks import mteb_task, wanted_splits

VOCABULARY = 50_000
SYLLABLES = ["ba", "e", "fi", "go", "lu", "an", "er", "pi", "o", "su", "it", "ve", "wi", "ko", "za", "ist"]


def word(number: int) -> str:
    """A synthetic word, unique for each number, longer for larger ones."""
    return SYLLABLES[number % 16] + (word(number // 16 - 1) if number >= 16 else "")


WORDS = np.array([word(number) for number in range(VOCABULARY)], dtype=object)


def texts(count: int, characters: float, chance: np.random.Generator) -> list[str]:
    """Texts of geometrically distributed lengths around a mean."""
    ranks = np.minimum(chance.zipf(1.2, 1000), VOCABULARY) - 1
    mean = characters / (1 + np.mean([len(each) for each in WORDS[ranks]]))
    lengths = chance.geometric(min(1, 1 / mean), count)
    words = WORDS[np.minimum(chance.zipf(1.2, lengths.sum()), VOCABULARY) - 1]
    return [" ".join(part) for part in np.split(words, np.cumsum(lengths)[:-1])]


def tables(
    statistics: dict, names: dict[str, str], target: str, chance: np.random.Generator
) -> Iterator[pyarrow.Table]:
    """A split's rows in parts, with as many distinct texts as the split has."""
    rows = statistics["num_samples"]
    for start in range(0, rows, ROWS_AT_ONCE):
        count = min(ROWS_AT_ONCE, rows - start)
        columns: dict[str, list] = {}
        for name, key in names.items():
            lengths = statistics[key]
            unique = texts(max(1, count * lengths["unique_texts"] // rows), lengths["average_text_length"], chance)
            columns[name] = [unique[i % len(unique)] for i in range(count)]
        if target == "score":
            columns[target] = chance.random(count)
        else:
            classes = statistics.get("label_statistics") or statistics["labels_statistics"]
            columns[target] = chance.integers(0, classes["unique_labels"], count)
        yield pyarrow.table(columns)


def main(argv: list[str]) -> None:
    """Write a file for each task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", choices=TYPE_OF, default=list(TYPE_OF), metavar="TASK")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write into")
    args = parser.parse_args(argv)
    for name in args.tasks:
        task = mteb_task(name)
        pair = {"sentence1": "text1_statistics", "sentence2": "text2_statistics"}
        names = {"text": "text_statistics"} if TYPE_OF[name] == "Classification" else pair
        target = {"STS": "score", "Classification": "label", "PairClassification": "labels"}[TYPE_OF[name]]
        (subset,) = task.hf_subsets
        splits = []
        for number, split in enumerate(wanted_splits(task)):
            statistics = task.metadata.descriptive_stats[split]
            statistics = statistics.get("hf_subset_descriptive_stats", {}).get(subset, statistics)
            splits.append((subset, split, tables(statistics, names, target, np.random.default_rng(number))))
        path = args.output / f"{name}.arrow"
        write_splits(path, splits, [*names, target])
        say(f"{name}: {path.stat().st_size / 1e6:,.1f} MB")


if __name__ == "__main__":
    run(main)
