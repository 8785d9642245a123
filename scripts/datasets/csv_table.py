"""Makes keys and values from the rows of a CSV table: for a single row, or for a block of lines at once."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from json.encoder import encode_basestring
from operator import itemgetter
from typing import TypeAlias

from datasets.records import KEY_SEPARATOR, NoRecord, Place, Record, without_line_end
from shardstore.limits import KEY_BYTES_MAX, KIB, VALUE_BYTES_MAX

BLOCK_BYTES = 256 * KIB
"""A block ends with the line that reaches this size."""

Line: TypeAlias = tuple[Place, bytes]
"""The place after a line, and the line with its end."""


def block_of(lines: Iterator[Line]) -> list[Line]:
    """The next block of lines; empty at the end of the file."""
    block: list[Line] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line[1])
        if size >= BLOCK_BYTES:
            break
    return block


class Table:
    """The columns of a table, those that make the key, and the form of values: JSON objects, or unchanged rows."""

    def __init__(self, columns: Sequence[str], key: Sequence[str], prefix: bytes, raw: bool) -> None:
        self._columns = len(columns)
        self._names = key
        self._key_fields = [columns.index(name) for name in key]
        self._prefix = prefix
        self._raw = raw
        members = (encode_basestring(name).replace("%", "%%") + ":%s" for name in columns)
        self._json = "{" + ",".join(members) + "}"

    def key_of(self, fields: Sequence[str]) -> bytes:
        """The key of one row. Raises NoRecord."""
        if len(fields) != self._columns:
            raise NoRecord(f"{len(fields)} columns instead of {self._columns}")
        for name, at in zip(self._names, self._key_fields, strict=True):
            if not fields[at]:
                raise NoRecord(f"the column {name!r} is empty")
        return self._prefix + KEY_SEPARATOR.join(map(fields.__getitem__, self._key_fields)).encode()

    def value_of(self, fields: Iterable[str], content: bytes) -> bytes:
        """The value of one row; `content` is the unchanged row."""
        return content if self._raw else (self._json % tuple(map(encode_basestring, fields))).encode()

    def records_of_lines(self, block: Sequence[Line], delimiter: str, encoding: str) -> list[Record] | None:
        """The records of the lines; None unless each line is a good row or empty."""
        try:
            rows = list(csv.reader([line.decode(encoding) for _, line in block], delimiter=delimiter, strict=True))
        except (UnicodeDecodeError, csv.Error):
            return None
        if len(rows) != len(block) or not {*map(len, rows)} <= {0, self._columns}:
            return None
        if not all(rows):
            block = [line for line, fields in zip(block, rows, strict=True) if fields]
            rows = [fields for fields in rows if fields]
        keys = self._keys_of(rows)
        if keys is None:
            return None
        contents = (without_line_end(line) for _, line in block) if self._raw else iter(lambda: b"", None)
        values = list(map(self.value_of, rows, contents))
        if max(map(len, keys), default=0) > KEY_BYTES_MAX or max(map(len, values), default=0) > VALUE_BYTES_MAX:
            return None
        return [Record(end.line, end, key, value) for (end, _), key, value in zip(block, keys, values, strict=True)]

    def _keys_of(self, rows: Sequence[Sequence[str]]) -> list[bytes] | None:
        """The keys of the rows; None if a column of a key is empty."""
        parts = [list(map(itemgetter(at), rows)) for at in self._key_fields]
        if not all(map(all, parts)):
            return None
        join: Callable[..., str] = KEY_SEPARATOR.join
        return [self._prefix + join(key).encode() for key in zip(*parts, strict=True)]
