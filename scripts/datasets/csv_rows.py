"""Rows of CSV files as in RFC 4180: a quoted field may contain delimiters, doubled quotes and line ends.

The first row names the columns, unless the caller does. Values are JSON objects, {"column": "text", ...}, in UTF-8, or
the unchanged rows. Empty lines between rows are skipped. Keys are in UTF-8, whatever the encoding of the file.

If each line of a block is one good row, as in nearly all blocks, csv_table.py makes its records at once. All other
blocks are read here, row by row.
"""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import BinaryIO, NamedTuple

from datasets.csv_table import Line, Table, block_of
from datasets.records import (
    LINE_BYTES_MAX,
    BadData,
    BadRecord,
    NoRecord,
    Place,
    Records,
    checked,
    encoded,
    lines_of,
    without_line_end,
)

ROW_BYTES_MAX = LINE_BYTES_MAX
_PLAIN = bytes(range(128)).replace(b"\\", rb"\\ \u0041")
"""ASCII, with sequences that some codecs read as escapes."""


def read_csv(
    file: BinaryIO,
    start: Place,
    *,
    key: Sequence[str],
    columns: Sequence[str] | None = None,
    delimiter: str = ",",
    encoding: str = "utf-8",
    prefix: str = "",
    raw: bool = False,
) -> Records:
    """The records of a file; keys are the columns of `key` joined by colons. Raises BadData for a wrong header."""
    csv.field_size_limit(ROW_BYTES_MAX)
    lines = _lines(file, Place() if columns is None else start, encoding)
    if columns is None:
        columns, behind_header = _header(_rows(lines, Place(), delimiter, encoding))
        if start > behind_header:
            lines = _lines(file, start, encoding)
        else:
            start = behind_header
    check_columns(columns, key)
    table = Table(columns, key, encoded(prefix), raw)
    while block := block_of(lines):
        behind, _ = block[-1]
        records = table.records_of_lines(block, delimiter, encoding)
        if records is not None:
            yield from records
        else:
            for record in _records_of_rows(_rows(chain(block, lines), start, delimiter, encoding), behind, table):
                yield record
                behind = max(behind, record.end)
        start = behind


def _records_of_rows(rows: Iterator[_Row], last: Place, table: Table) -> Records:
    """The records of the rows, up to the row that reaches the place `last`."""
    for row in rows:
        try:
            if row.trouble:
                raise row.trouble
            if row.fields:
                yield checked(row.line, row.end, table.key_of(row.fields), table.value_of(row.fields, row.content))
        except NoRecord as why:
            yield BadRecord(why.line or row.line, row.end, f"{why}{row.reach()}")
        if row.end >= last:
            return


def check_columns(columns: Sequence[str], key: Sequence[str]) -> None:
    """Raise BadData unless the names of the columns are distinct and include those of the key."""
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise BadData(f"there are two columns {twice[0]!r}")
    missing = [name for name in key if name not in columns]
    if missing:
        raise BadData(f"there is no column {missing[0]!r}; there are {', '.join(map(repr, columns))}")


def is_readable(encoding: str) -> bool:
    """Whether lines can be found without decoding. The encoding must extend ASCII, as UTF-16 does not, for example."""
    try:
        return _PLAIN.decode(encoding) == _PLAIN.decode("ascii")
    except (LookupError, UnicodeError):
        return False


class _Row(NamedTuple):
    """A row read by csv.reader: its first line, the place after it, its bytes, and its fields or what is wrong."""

    line: int
    end: Place
    content: bytes
    fields: list[str]
    trouble: NoRecord | None

    def reach(self) -> str:
        """Says where the row ends, if it has several lines."""
        return f" (the row ends in line {self.end.line})" if self.end.line > self.line else ""


class _Feed:
    """Gives csv.reader one line after the other, and keeps the lines of the current row."""

    def __init__(self, lines: Iterator[Line], start: Place, encoding: str) -> None:
        self._lines = lines
        self._encoding = encoding
        self.end = start
        self.begin_row()

    def begin_row(self) -> None:
        """Forget the lines of the previous row."""
        self.content: list[bytes] = []
        self.content_bytes = 0
        self.trouble: NoRecord | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.end, line = next(self._lines)
        self.content_bytes += len(line)
        if self.content_bytes > ROW_BYTES_MAX:
            raise NoRecord(f"the row is longer than {ROW_BYTES_MAX:,} bytes")
        self.content.append(line)
        try:
            return line.decode(self._encoding)
        except UnicodeDecodeError as error:
            # Read the rest of the row, so that the next row begins at the right line.
            why = f"not {self._encoding}: {error.reason} at byte {error.start + 1} of the line"
            self.trouble = NoRecord(why, self.end.line)
            return line.decode(self._encoding, "replace")


def _lines(file: BinaryIO, start: Place, encoding: str) -> Iterator[Line]:
    """The lines after a place, without the byte order mark that some programs put before UTF-8."""
    lines = lines_of(file, start)
    if start == Place() and codecs.lookup(encoding).name == "utf-8":
        for end, line in islice(lines, 1):
            yield end, line.removeprefix(codecs.BOM_UTF8)
    yield from lines


def _rows(lines: Iterator[Line], start: Place, delimiter: str, encoding: str) -> Iterator[_Row]:
    feed = _Feed(lines, start, encoding)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin_row()
        first = feed.end.line + 1
        fields: list[str] = []
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            feed.trouble = feed.trouble or NoRecord(str(error))
        except NoRecord as why:
            feed.trouble = why
        yield _Row(first, feed.end, without_line_end(b"".join(feed.content)), fields, feed.trouble)


def _header(rows: Iterator[_Row]) -> tuple[list[str], Place]:
    """The first row that is not empty, and the place after it."""
    for row in rows:
        if row.trouble:
            raise BadData(f"line {row.line} is not a header: {row.trouble}")
        if row.fields:
            return row.fields, row.end
    raise BadData("there is no header: the file is empty")
