"""Rows of CSV files, as RFC 4180 draws them: a quoted field may hold delimiters, doubled quotes and line ends.

The first row names the columns, unless the caller does. Values are JSON objects, {"column": "text", ...}, in UTF-8, or
the rows as they stand. Empty lines between rows are passed over. Keys are in UTF-8 whatever the encoding of the file.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from datasets.records import (
    KEY_SEPARATOR,
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
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


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
    if columns is None:
        rows = _rows(file, Place(), delimiter, encoding)
        columns, behind_header = _header(rows)
        if start > behind_header:
            rows = _rows(file, start, delimiter, encoding)
    else:
        rows = _rows(file, start, delimiter, encoding)
    check_columns(columns, key)
    before = encoded(prefix)
    for row in rows:
        try:
            if fields := row.fields_of(columns):
                found = _key(fields, key)
                value = row.content if raw else _to_json(fields).encode()
                yield checked(row.line, row.end, before + found, value)
        except NoRecord as why:
            yield BadRecord(why.line or row.line, row.end, f"{why}{row.reach()}")


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

    def fields_of(self, columns: Sequence[str]) -> dict[str, str]:
        """The fields by column; none of an empty line. Raises NoRecord."""
        if self.trouble:
            raise self.trouble
        if self.fields and len(self.fields) != len(columns):
            raise NoRecord(f"{len(self.fields)} columns instead of {len(columns)}")
        return dict(zip(columns, self.fields, strict=False))

    def reach(self) -> str:
        """Where the row ends, if that is not where it begins."""
        return f" (the row reaches to line {self.end.line})" if self.end.line > self.line else ""


class _Feed:
    """The lines for csv.reader, which takes them one by one as it needs them. Keeps those of the row in hand."""

    def __init__(self, file: BinaryIO, start: Place, encoding: str) -> None:
        self._lines = lines_of(file, start)
        self._encoding = encoding
        self._mark = codecs.BOM_UTF8 if codecs.lookup(encoding).name == "utf-8" else b""
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
        if self.end.line == 1:
            line = line.removeprefix(self._mark)
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


def _rows(file: BinaryIO, start: Place, delimiter: str, encoding: str) -> Iterator[_Row]:
    feed = _Feed(file, start, encoding)
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


def _key(fields: dict[str, str], names: Sequence[str]) -> bytes:
    for name in names:
        if not fields[name]:
            raise NoRecord(f"the column {name!r} is empty")
    return KEY_SEPARATOR.join(map(fields.__getitem__, names)).encode()
