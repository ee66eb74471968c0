"""Documents of text, read one at a time from files of several formats, on disk or on the hub.

The name's ending decides the format: ``.txt`` (a line is a document, or a paragraph if empty lines separate them),
``.jsonl`` and ``.json`` (an object a line), ``.csv`` and ``.tsv``, ``.parquet``, and WordNet's ``data.noun``,
``.verb``, ``.adj`` and ``.adv`` files (the definition and each example of a synset are documents). All but parquet may
be compressed (``.gz``). Parquet needs a file on disk.
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
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import IO, cast

from lib.delimited import decoded_lines, read_rows
from lib.hub import check_file_commit
from lib.job.command import InputError, first_line
from lib.job.files import visible_files
from lib.job.progress import say
from lib.plan.sources import Source

Opener = Callable[[], IO[bytes]]
HUB_BLOCK_BYTES = 1 << 19  # about what a visit to a file of C4 takes
VISIT = 512  # documents
EXAMPLES = 10  # of files that are not read
LINES_LOOKED_AT = 2000  # to decide what separates a file's paragraphs
WIDTHS = range(50, 121)  # characters in a wrapped line
ROOM = 15  # a wrapped line may be so many characters shorter than most: the next word did not fit
NO_TEXTS = {"license", "licence", "copying", "notice"}


def empty_lines_part(lines: list[str]) -> bool:
    """Whether empty lines separate a text's paragraphs; else each line is one.

    They do if fewer than a third of the lines directly follow another one. They also do if the lines are wrapped: of
    those that directly follow another, a quarter or more begin in lower case after a line without a full stop, and two
    thirds of the lines broken in this way are about equally long.
    """
    pairs = [(line, after) for line, after in pairwise(lines) if line and after]
    if 3 * len(pairs) < sum(map(bool, lines)):
        return True
    broken = sorted(
        len(line) for line, after in pairs if line[-1] not in ".!?" and after[0].isalpha() and not after[0].isupper()
    )
    width = broken[int(0.95 * len(broken))] if broken else 0  # a long URL may be an outlier
    full = sum(length > width - ROOM for length in broken)
    return width in WIDTHS and 4 * len(broken) >= len(pairs) and 3 * full >= 2 * len(broken)


def paragraphs(file: IO[bytes], name: str, text_key: str) -> Iterator[str]:
    """Paragraphs of plain UTF-8 text: single lines, or runs of lines if empty lines separate paragraphs."""
    lines = (line.strip() for line in decoded_lines(file, name))
    first = list(islice(lines, LINES_LOOKED_AT))
    joined = empty_lines_part(first)
    paragraph: list[str] = []
    for line in chain(first, lines):
        if line:
            paragraph.append(line)
        if paragraph and not (line and joined):
            yield " ".join(paragraph)
            paragraph = []
    if paragraph:
        yield " ".join(paragraph)


def json_lines(file: IO[bytes], name: str, text_key: str) -> Iterator[str]:
    """The string under ``text_key`` of each line's JSON object; empty lines are skipped."""
    for number, line in enumerate(decoded_lines(file, name), start=1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)[text_key]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{name}, line {number}: expected a JSON object with the key {text_key!r}") from error
        if not isinstance(text, str):
            raise InputError(f"{name}, line {number}: expected text under {text_key!r}, found {type(text).__name__}")
        yield text


def table_rows(file: IO[bytes], name: str, text_key: str) -> Iterator[str]:
    """The cells of the column ``text_key`` of a CSV or TSV file; empty ones are skipped."""
    for row in read_rows(decoded_lines(file, name), name):
        if text_key not in row:
            raise InputError(f"{name}: expected a column {text_key!r}, found {list(row)}")
        if row[text_key]:
            yield row[text_key]


def parquet_rows(file: IO[bytes], name: str, text_key: str) -> Iterator[str]:
    """The strings of the column ``text_key``; nulls are skipped."""
    import pyarrow.parquet
    from pyarrow import types

    try:
        table = pyarrow.parquet.ParquetFile(file, page_checksum_verification=True)
        names = table.schema_arrow.names
        if names.count(text_key) != 1:
            raise InputError(f"{name}: expected one column {text_key!r}, found {names}")
        kind = table.schema_arrow.field(text_key).type
        if not any(is_kind(kind) for is_kind in (types.is_string, types.is_large_string, types.is_string_view)):
            raise InputError(f"{name}: expected text in the column {text_key!r}, found {kind}")
        for batch in table.iter_batches(columns=[text_key]):
            yield from (text for text in batch.column(0).to_pylist() if text is not None)
    except (pyarrow.ArrowException, OSError) as error:  # a damaged page is found when it is read
        raise InputError(f"{name}: expected a complete parquet file, found {first_line(error)}") from error


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
    ".csv": table_rows,
    ".tsv": table_rows,
    ".parquet": parquet_rows,
    ".noun": wordnet_glosses,
    ".verb": wordnet_glosses,
    ".adj": wordnet_glosses,
    ".adv": wordnet_glosses,
}


def reader_of(name: str) -> Callable[[IO[bytes], str, str], Iterator[str]] | None:
    """The function that reads a file of this name, or None if its ending is not known."""
    return FORMATS.get(Path(name.lower().removesuffix(".gz")).suffix)


def opener_of(path: Path) -> Opener:
    """A function that opens a file."""
    return lambda: path.open("rb")


def local_files(path: Path) -> dict[str, Opener]:
    """Openers of the readable files under ``path`` (a file or a folder), by name, sorted.

    In a folder, hidden files and folders are ignored; other files that are not read are named.

    Raises:
        InputError: the path does not exist, or there is no readable file in it.
    """
    if not path.exists():
        raise InputError(f"{path}: expected a text file or a folder of text files, found nothing")
    listed = [path] if path.is_file() else visible_files(path)
    read = [p for p in listed if reader_of(p.name) and (p == path or p.name.lower().split(".")[0] not in NO_TEXTS)]
    others = [str(p.relative_to(path)) for p in listed if p not in set(read)]
    if others and read:
        named = ", ".join(others[:EXAMPLES]) + (", …" if len(others) > EXAMPLES else "")
        say(f"{path}: {len(others)} of {len(listed)} files are not read, by their names: {named}")
    files = {str(p): opener_of(p) for p in read}
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
    except Exception as error:  # the client raises exceptions of its own for network faults
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
        InputError: the file is truncated, or not of the format in its name.
    """
    read = reader_of(name)
    if read is None:
        raise InputError(f"{name}: expected a file ending in {', '.join(FORMATS)} (or these with .gz), found another")
    try:
        with opener() as raw:
            file = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if name.lower().endswith(".gz") else raw
            yield from read(file, name, text_key)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{name}: expected a complete gzip file, found {error}") from error
    except UnicodeDecodeError as error:  # from parquet; text files name the place
        raise InputError(f"{name}: expected UTF-8, found {error}") from error


def in_turn(files: dict[str, Opener], text_key: str, seed: int) -> Iterator[str]:
    """Yield documents from the files alternately, ``VISIT`` documents per visit, in an order given by the seed.

    A reader that stops early has read documents from many files, and little more than it used.
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
