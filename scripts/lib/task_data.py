"""A task's data on disk: one mapped Arrow file; the metadata of its batches name their subset and split."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow

from lib.job.command import InputError, first_line
from lib.job.files import replacing

ROWS_AT_ONCE = 10_000

Splits = dict[tuple[str, str], pyarrow.Table]


def write_splits(path: Path, splits: Iterable[tuple[str, str, Iterable[pyarrow.Table]]], columns: list[str]) -> None:
    """Write the columns of all splits, given as subset, split and tables, completely or not at all."""
    schema, writer = None, None
    with replacing(path) as temporary, pyarrow.OSFile(str(temporary), "wb") as file:
        for subset, split, tables in splits:
            for table in tables:
                if writer is None:
                    schema = table.select(columns).schema.remove_metadata()
                    writer = pyarrow.ipc.new_file(file, schema)
                # rows selected one by one are a chunk each, and the library datasets takes long to slice many
                for batch in table.select(columns).cast(schema).combine_chunks().to_batches(ROWS_AT_ONCE):
                    writer.write_batch(batch, custom_metadata={"subset": subset, "split": split})
        if writer is not None:
            writer.close()


def read_splits(path: Path) -> Splits:
    """Map what ``write_splits`` wrote: the rows of each (subset, split).

    Raises:
        InputError: the file is damaged.
    """
    batches: dict[tuple[str, str], list[pyarrow.RecordBatch]] = {}
    try:
        reader = pyarrow.ipc.open_file(pyarrow.memory_map(str(path)))
        for number in range(reader.num_record_batches):
            batch, names = reader.get_batch_with_custom_metadata(number)
            batch.validate()
            batches.setdefault((names["subset"].decode(), names["split"].decode()), []).append(batch)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected a task's data, found {first_line(error)}; delete it to make it again"
        ) from error
    return {key: pyarrow.Table.from_batches(found) for key, found in batches.items()}
