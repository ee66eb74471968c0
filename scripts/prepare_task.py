"""Convert a custom task's source files into the splits that mteb reads.

Each format is a function that reads the source's rows. ``table`` is for your own tables (parquet, csv, tsv or jsonl)
with mteb's column names: text and label (Classification), sentence1, sentence2 and score (STS), sentence1, sentence2
and labels (PairClassification). The others, in lib/task_formats.py, read data sets in packages.
"""

import argparse
import math
import re
from collections import defaultdict
from pathlib import Path

import pyarrow

from lib import task_formats
from lib.job.command import InputError, first_line, run
from lib.job.files import check_hashes
from lib.plan.tasks import TYPES
from lib.task_data import write_splits
from lib.task_formats import PLACE, Splits
from lib.task_tables import SPLITS, rows_of, table_paths

PAIR_LABELS = {"0": 0, "0.0": 0, "false": 0, "no": 0, "1": 1, "1.0": 1, "true": 1, "yes": 1}
WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")
SURROGATE = re.compile("[\ud800-\udfff]")


def table(source: Path) -> Splits:
    """Tables: a file with an optional column ``split`` (of ``SPLITS``), or a file for each split, named after it.

    Without a split, all rows are the test split.
    """
    splits: Splits = defaultdict(list)
    for path, named in table_paths(source).items():
        for number, row in enumerate(rows_of(path), start=1):
            split = row.pop("split", named or "test")
            if split not in list(SPLITS) or split != (named or split):
                expected = named or f"one of {list(SPLITS)}"
                raise InputError(f"{path}: row {number}: expected {expected} under split, found {split!r}")
            splits[split].append(row | {PLACE: f"{path.name} row {number}"})
    return dict(splits)


FORMATS = {"table": table} | task_formats.FORMATS


def as_class(value: object) -> int | str | None:
    """A label as a 64-bit integer or as a name without surrounding space; None if it is neither."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**63 else None
    if isinstance(value, bool | str) or (isinstance(value, float) and math.isfinite(value)):
        name = str(value).strip()
        return None if name.lower() == "nan" else name
    return None


def as_number(value: object) -> float | None:
    """A value, or its text, as a finite number; None if it is not one."""
    if (
        isinstance(value, bool) or not isinstance(value, int | float | str) or "_" in str(value)
    ):  # 1_0 is a number in Python only
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def target_of(value: object, task_type: str) -> tuple[float | int | str | None, str]:
    """A row's label or score, or None if it is invalid; and what was expected."""
    if task_type == "STS":
        return as_number(value), "a number"
    if task_type == "PairClassification":
        return PAIR_LABELS.get(str(value).strip().lower()), "0 or 1, true or false, yes or no"
    return as_class(value), "an integer or a name of a class"


def is_text(value: object) -> bool:
    """Whether a value is text that can be written as UTF-8."""
    return isinstance(value, str) and not SURROGATE.search(value)


def check_splits(splits: Splits, task_type: str, name: str) -> None:
    """Check that the splits hold what mteb needs, and convert labels into numbers.

    Classes may have names; they are numbered in the order of their names. Labels of pairs may be 0 and 1, true and
    false, or yes and no.

    Raises:
        InputError: a split, a column or a value is missing, a value is not of its column's type, or a class has no
            training row.
    """
    for split in ["train", "test"] if task_type == "Classification" else ["test"]:
        if not splits.get(split):
            raise InputError(f"task {name}: expected rows in the split {split!r}, found none")
    target = TYPES[task_type].target
    for split, rows in splits.items():
        for number, row in enumerate(rows, start=1):
            where = f"task {name}: {row.get(PLACE, f'{split} row {number}')}: expected"
            missing = sorted(c for c in TYPES[task_type].columns if row.get(c) is None or not str(row[c]).strip())
            if missing:
                raise InputError(f"{where} a value for {missing}, found {[row.get(column) for column in missing]}")
            for column in TYPES[task_type].texts:
                if not is_text(row[column]):
                    raise InputError(f"{where} text under {column}, found {row[column]!r}")
            value, expected = target_of(row[target], task_type)
            if value is None:
                raise InputError(f"{where} {expected} under {target}, found {row[target]!r}")
            row[target] = value
    if task_type == "Classification":
        number_classes(splits, target, name)
    for split, rows in splits.items():
        values = {row[target] for row in rows}
        if len(values) < 2 and split != "validation":
            raise InputError(f"task {name}: {split}: expected different values under {target}, found only {values}")


def number_classes(splits: Splits, target: str, name: str) -> None:
    """Number the classes of a classification in the order of their names, if they have names.

    Of two classes, mteb takes 1 for the positive one: two numbers without 1 become 0 and 1.

    Raises:
        InputError: some labels are numbers and some are names, or a class has no training row.
    """
    trained = {row[target] for row in splits["train"]}
    kind = type(splits["train"][0][target])
    for split, rows in splits.items():
        for number, row in enumerate(rows, start=1):
            where = f"task {name}: {row.get(PLACE, f'{split} row {number}')}: expected"
            if type(row[target]) is not kind:
                other = "an integer" if kind is int else "a name"
                raise InputError(f"{where} {other} under {target}, as in the first row, found {row[target]!r}")
            if row[target] not in trained:
                raise InputError(f"{where} a class that a training row has, found {row[target]!r}")
    whole = kind is int or all(WHOLE.fullmatch(label) for label in trained)
    numbers = {label: int(label) if whole else number for number, label in enumerate(sorted(trained))}
    if len(numbers) == 2 and 1 not in numbers.values():
        numbers = {label: number for number, label in enumerate(sorted(numbers, key=numbers.__getitem__))}
    for rows in splits.values():
        for row in rows:
            row[target] = numbers[row[target]]


def as_table(rows: list[dict], columns: list[str]) -> pyarrow.Table:
    """The columns of rows as an Arrow table."""
    return pyarrow.table({name: [row[name] for row in rows] for name in columns})


def main(argv: list[str]) -> None:
    """Write one task's splits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the task's name")
    parser.add_argument("--source", type=Path, required=True, help="the source file, or its folder")
    parser.add_argument("--type", choices=TYPES, required=True)
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument("--output", type=Path, required=True, help="the Arrow file to write")
    args = parser.parse_args(argv)
    check_hashes(args.source, required=False)
    try:
        splits = FORMATS[args.format](args.source)
    except (FileNotFoundError, KeyError, ValueError, IndexError) as error:
        raise InputError(
            f"task {args.name}: {args.source} is not in the format {args.format}: {first_line(error)}"
        ) from error
    check_splits(splits, args.type, args.name)
    columns = TYPES[args.type].columns
    tables = [("default", split, [as_table(rows, columns)]) for split, rows in splits.items()]
    write_splits(args.output, tables, columns)


if __name__ == "__main__":
    run(main)
