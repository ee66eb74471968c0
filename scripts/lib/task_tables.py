"""Tables of custom tasks: parquet, csv, tsv or jsonl files, read row by row."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import polars

from lib.delimited import decoded_lines, read_rows
from lib.job.command import InputError, first_line
from lib.job.files import visible_files
from lib.plan.tasks import TYPES

SPLITS = {
    "train": {"train", "training"},
    "validation": {"validation", "valid", "val", "dev"},
    "test": {"test", "testing", "eval", "evaluation"},
}


def table_paths(source: Path) -> dict[Path, str | None]:
    """The tables of a source, each with the split in its name, or None for a single table.

    The split is a word in the name of the file or its folders, one of those that the library datasets uses.

    Raises:
        InputError: there is no table; or the name of one of several tables has no split or two; or a file of a split
            is not a table.
    """
    files = {}
    for path in [source] if source.is_file() else visible_files(source):
        words = set(re.split("[^a-z]+", str(path.relative_to(source)).lower()))
        files[path] = [split for split, names in SPLITS.items() if names & words]
    tables = [path for path in files if path.suffix.lower() in READERS]
    if not tables:
        raise InputError(f"{source}: expected a file ending in {', '.join(READERS)}, found none")
    named = {split for path in tables for split in files[path]}
    for path, splits in files.items():
        if path not in tables and named and not named.issuperset(splits):
            raise InputError(
                f"{path}: expected a file ending in {', '.join(READERS)}, because its name says {splits[0]}"
            )
        if path in tables and len(tables) > 1 and len(splits) != 1:
            raise InputError(f"{path}: expected one of {list(SPLITS)} in the names of several tables, found {splits}")
    return {path: files[path][0] if len(tables) > 1 else None for path in tables}


def parquet_rows(path: Path) -> Iterator[dict]:
    """Rows of a parquet file; the first is read on its own."""
    frame = polars.scan_parquet(path)
    for part in (frame.head(1), frame.slice(1)):
        for rows in part.collect().iter_slices():
            yield from rows.to_dicts()


def json_rows(path: Path) -> Iterator[dict]:
    """The object of each line that is not empty."""
    with path.open("rb") as file:
        for number, line in enumerate(decoded_lines(file, str(path)), start=1):
            if line.strip():
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise InputError(f"{path}: line {number}: expected a JSON object, found {error}") from error
                if not isinstance(row, dict):
                    raise InputError(f"{path}: line {number}: expected a JSON object, found {type(row).__name__}")
                yield row


def delimited_rows(path: Path) -> Iterator[dict]:
    """Rows of a CSV or TSV file; all cells are text."""
    with path.open("rb") as file:
        yield from read_rows(decoded_lines(file, str(path)), str(path))


READERS = {".parquet": parquet_rows, ".csv": delimited_rows, ".tsv": delimited_rows, ".jsonl": json_rows}


def rows_of(path: Path) -> Iterator[dict]:
    """Rows of a table.

    Raises:
        InputError: it is damaged.
    """
    try:
        yield from READERS[path.suffix.lower()](path)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: expected a {path.suffix} table, found {first_line(error)}") from error


def check_columns(source: Path, task_type: str) -> None:
    """Check that tables have a task's columns, by their first rows.

    Raises:
        InputError: one is damaged or empty, or a column is missing.
    """
    for path in table_paths(source):
        first = next(rows_of(path), None)
        if first is None:
            raise InputError(f"{path}: expected rows, found none")
        expected = TYPES[task_type].columns
        if missing := [column for column in expected if column not in first]:
            raise InputError(f"{path}: expected the columns {expected}, found no {missing[0]} in {list(first)}")
