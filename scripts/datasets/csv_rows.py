"""Rows of CSV files, as RFC 4180 draws them: a quoted field may hold delimiters, doubled quotes and line ends.

The first row names the columns, unless the caller does. Values are JSON objects, {"column": "text", ...}, in UTF-8, or
the rows as they stand. Empty lines between rows are passed over. Keys are in UTF-8 whatever the encoding of the file.

Blocks of lines of which each is one good row, as nearly all are, become records many at a time (csv_table.py). All
others are read here, row by row.
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
"""ASCII, with what some codecs take for escapes."""


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
    """Keys are the texts in the columns of `key`, with colons between them. Raises BadData for a wrong header."""
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
    """The records of one row after the other, up to the row that reaches the place `last`."""
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
    """Raise BadData unless every column has a name of its own and those of the key are among them."""
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise BadData(f"the column {twice[0]!r} is there twice")
    missing = [name for name in key if name not in columns]
    if missing:
        raise BadData(f"there is no column {missing[0]!r}; there are {', '.join(map(repr, columns))}")


def is_readable(encoding: str) -> bool:
    """Whether lines can be found before they are decoded, as ASCII means ASCII; in UTF-16, for example, it does not."""
    try:
        return _PLAIN.decode(encoding) == _PLAIN.decode("ascii")
    except (LookupError, UnicodeError):
        return False


class _Row(NamedTuple):
    """What csv.reader made of some lines, or why it could not: the first line, the place behind them, their bytes."""

    line: int
    end: Place
    content: bytes
    fields: list[str]
    trouble: NoRecord | None

    def reach(self) -> str:
        """Where the row ends, if that is not where it begins."""
        return f" (the row reaches to line {self.end.line})" if self.end.line > self.line else ""


class _Feed:
    """The lines for csv.reader, which takes them one by one as it needs them. Keeps those of the row in hand."""

    def __init__(self, lines: Iterator[Line], start: Place, encoding: str) -> None:
        self._lines = lines
        self._encoding = encoding
        self.end = start
        self.begin_row()

    def begin_row(self) -> None:
        """Forget the lines of the row before."""
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
            # The row is read on, so that the next one begins where it should.
            why = f"not {self._encoding}: {error.reason} at byte {error.start + 1} of the line"
            self.trouble = NoRecord(why, self.end.line)
            return line.decode(self._encoding, "replace")


def _lines(file: BinaryIO, start: Place, encoding: str) -> Iterator[Line]:
    """The lines behind a place, without the mark that some programs put before UTF-8."""
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
    """The first row that is not empty, and the place behind it."""
    for row in rows:
        if row.trouble:
            raise BadData(f"line {row.line} is no header: {row.trouble}")
        if row.fields:
            return row.fields, row.end
    raise BadData("there is no header: it is empty")
