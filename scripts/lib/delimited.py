"""Lines of text files, and rows of CSV and TSV files, read strictly: an error names the place."""

import csv
import re
from collections.abc import Iterable, Iterator

from lib.job.command import InputError

csv.field_size_limit(1 << 30)
QUOTED = re.compile(r'"(?:[^"]|"")*"')


def no_utf_8(name: str, offset: int, found: bytes) -> InputError:
    """The error for a file in another encoding."""
    return InputError(f"{name}: byte {offset}: expected UTF-8, found {found.hex()}; save the file as UTF-8")


def decoded_lines(file: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines of a UTF-8 file with their ends, without a byte order mark.

    Raises:
        InputError: the bytes are not UTF-8, or a byte is zero; the message has the offset.
    """
    offset = 0
    for line in file:
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise no_utf_8(name, offset + error.start, line[error.start : error.end]) from error
        if "\0" in text:  # UTF-16 without a byte order mark
            start = line.index(b"\0")
            raise no_utf_8(name, offset + start, line[start : start + 1])
        yield text.removeprefix("\ufeff") if offset == 0 else text
        offset += len(line)


def cells_of_tsv(lines: Iterable[str]) -> Iterator[list[str]]:
    """The cells of each line; quotation marks around a whole cell are removed, others are literal."""
    for line in lines:
        cells = line.rstrip("\r\n").split("\t")
        yield [cell[1:-1].replace('""', '"') if QUOTED.fullmatch(cell) else cell for cell in cells]


def read_rows(lines: Iterable[str], name: str) -> Iterator[dict[str, str]]:
    """Rows of a CSV file (RFC 4180), or of a TSV file by its name, with the column names of its first line.

    All values are text. Empty lines are skipped.

    Raises:
        InputError: the first line is missing or repeats a name, a quotation mark is unpaired, or a row has more or
            fewer cells.
    """
    tabs = name.lower().removesuffix(".gz").endswith(".tsv")
    rows = cells_of_tsv(lines) if tabs else csv.reader(lines, strict=True)
    try:
        header = [column.strip() for column in next(rows, [])]
        if len(set(header)) < len(header):
            twice = next(column for column in header if header.count(column) > 1)
            raise InputError(f"{name}: expected different column names, found {twice!r} twice")
        if not any(header):
            raise InputError(f"{name}: expected column names in the first line, found none")
        for number, cells in enumerate((row for row in rows if any(row)), start=1):
            if len(cells) != len(header):
                raise InputError(f"{name}: row {number}: expected {len(header)} cells, found {len(cells)}")
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        line = "" if tabs else f" line {rows.line_num}:"  # type: ignore[attr-defined]
        raise InputError(f"{name}:{line} expected cells quoted as in RFC 4180, found {error}") from error
