"""Documents of text, read one at a time from files of several formats, on disk or on the hub.

The name's ending tells the format: ``.txt`` (paragraphs parted by an empty line are documents), ``.jsonl`` and
``.json`` (an object a line), ``.parquet``, and WordNet's ``data.noun``, ``.verb``, ``.adj`` and ``.adv`` files (the
definition and each example of a synset are documents). All but parquet may be compressed (``.gz``). Parquet needs a
file on disk.
"""

import gzip
import io
import json
import random
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, cast

from lib.command import InputError, first_line
from lib.hub import check_file_commit
from lib.sources import Source

Opener = Callable[[], IO[bytes]]
HUB_BLOCK_BYTES = 1 << 19  # about what a visit to a file of C4 takes
VISIT = 512  # documents


def paragraphs(file: IO[bytes], name: str, text_key: str) -> Iterator[str]:
    """Paragraphs of plain UTF-8 text; one is a run of lines without an empty line."""
    lines: list[str] = []
    for line in io.TextIOWrapper(file, encoding="utf-8", errors="replace"):
        if line.strip():
            lines.append(line.strip())
        elif lines:
            yield " ".join(lines)
            lines = []
    if lines:
        yield " ".join(lines)


def json_lines(file: IO[bytes], name: str, text_key: str) -> Iterator[str]:
    """The string under ``text_key`` of each line's JSON object."""
    for number, line in enumerate(file, start=1):
        try:
            text = json.loads(line)[text_key]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{name}, line {number}: expected a JSON object with the key {text_key!r}") from error
        if not isinstance(text, str):
            raise InputError(f"{name}, line {number}: expected text under {text_key!r}, found {type(text).__name__}")
        yield text


def parquet_rows(file: IO[bytes], name: str, text_key: str) -> Iterator[str]:
    """The strings of the column ``text_key``; nulls are passed over."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(file)
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"{name}: expected a parquet file, found {first_line(error)}") from error
    if text_key not in table.schema_arrow.names:
        raise InputError(f"{name}: expected a column {text_key!r}, found {table.schema_arrow.names}")
    kind = table.schema_arrow.field(text_key).type
    if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind) or pyarrow.types.is_string_view(kind)):
        raise InputError(f"{name}: expected text in the column {text_key!r}, found {kind}")
    for batch in table.iter_batches(columns=[text_key]):
        yield from (text for text in batch.column(0).to_pylist() if text is not None)


def wordnet_glosses(file: IO[bytes], name: str, text_key: str) -> Iterator[str]:
    """The definition and the quoted examples of each synset of a WordNet database file (wndb(5WN), latin-1)."""
    for line in io.TextIOWrapper(file, encoding="latin-1"):
        if line.startswith("  ") or " | " not in line:
            continue
        definition, *examples = line.partition(" | ")[2].split('"')
        yield definition.strip(" ;\n")
        yield from (example.strip() for example in examples[::2] if example.strip(" ;,\n"))


FORMATS = {
    ".txt": paragraphs,
    ".jsonl": json_lines,
    ".json": json_lines,
    ".parquet": parquet_rows,
    ".noun": wordnet_glosses,
    ".verb": wordnet_glosses,
    ".adj": wordnet_glosses,
    ".adv": wordnet_glosses,
}


def reader_of(name: str) -> Callable[[IO[bytes], str, str], Iterator[str]] | None:
    """The function that reads a file of this name, or None where its ending is not known."""
    return FORMATS.get(Path(name.removesuffix(".gz")).suffix)


def opener_of(path: Path) -> Opener:
    """A function that opens a file."""
    return lambda: path.open("rb")


def local_files(path: Path) -> dict[str, Opener]:
    """Openers of the readable files under ``path`` (a file or a folder), by name, sorted.

    Raises:
        InputError: there is no such path, or nothing readable in it.
    """
    if not path.exists():
        raise InputError(f"{path}: expected a text file or a folder of text files, found nothing")
    found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    files = {str(p): opener_of(p) for p in found if reader_of(p.name)}
    if not files:
        raise InputError(f"{path}: expected files ending in {', '.join(FORMATS)} (or these with .gz), found none")
    return files


def hub_files(source: Source) -> dict[str, Opener]:
    """Openers of the files of a hub data set that match the source's path; opened, they stream in small blocks."""
    from huggingface_hub import HfFileSystem

    files = HfFileSystem(block_size=HUB_BLOCK_BYTES)
    root = f"datasets/{source.name}@{source.pin}"
    folder = source.path.rpartition("/")[0]
    try:
        entries: list = files.ls(f"{root}/{folder}", detail=True)
        names = [entry["name"] for entry in entries if entry["type"] == "file"]
    except Exception as error:  # the client raises its own kinds for every network fault
        raise InputError(
            f"hub data set {source.name}@{source.pin}: cannot list {folder!r}: {first_line(error)}"
        ) from error
    matching = sorted(name for name in names if fnmatch(name.partition("@")[2], f"{source.pin}/{source.path}"))
    if not matching:
        raise InputError(f"hub data set {source.name}@{source.pin}: expected files {source.path!r}, found none")
    check_file_commit(source.name, "dataset", source.pin, matching[0].partition(source.pin)[2].strip("/"))
    return {name: partial(files.open, name, "rb") for name in matching}


def read_file(name: str, opener: Opener, text_key: str) -> Iterator[str]:
    """Yield the documents of one file.

    Raises:
        InputError: the file is cut short, or not of the format that its name says.
    """
    read = reader_of(name)
    if read is None:
        raise InputError(f"{name}: expected a file ending in {', '.join(FORMATS)} (or these with .gz), found another")
    try:
        with opener() as raw:
            file = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if name.endswith(".gz") else raw
            yield from read(file, name, text_key)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{name}: expected a whole gzip file, found {error}") from error


def in_turn(files: dict[str, Opener], text_key: str, seed: int) -> Iterator[str]:
    """Yield documents from the files in turn, ``VISIT`` documents a visit, in an order that the seed chooses.

    Who stops early has read documents from many files, and no more of each than a visit more than was taken.
    """
    names = sorted(files)
    random.Random(seed).shuffle(names)
    waiting = deque(read_file(name, files[name], text_key) for name in names)
    while waiting:
        documents = waiting.popleft()
        taken = 0
        for taken, document in enumerate(islice(documents, VISIT), start=1):  # noqa: B007
            yield document
        if taken == VISIT:
            waiting.append(documents)


def one_after_another(files: dict[str, Opener], text_key: str) -> Iterator[str]:
    """Yield all documents of all files."""
    for name in sorted(files):
        yield from read_file(name, files[name], text_key)
