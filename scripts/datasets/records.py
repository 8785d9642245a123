"""The output of readers: records, bad records, and the places between them.

A reader is a function of a binary file and a place in it. It yields a Record or BadRecord for everything after the
place, in the order of the file, and keeps only a bounded part of the file in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from shardstore.limits import KEY_BYTES_MAX, MIB, VALUE_BYTES_MAX

LINE_BYTES_MAX = 2 * VALUE_BYTES_MAX
"""A longer line cannot be a record and is not kept. Twice the size of a value, since CSV doubles quotes in fields."""
KEY_SEPARATOR = ":"
"""Separates the columns or fields of a key."""

_READ_AHEAD = MIB


class Place(NamedTuple):
    """A boundary between records: the number of bytes and lines before it."""

    position: int = 0
    line: int = 0


class Record(NamedTuple):
    """A key and its value, the number of its first line, and the place after it."""

    line: int
    end: Place
    key: bytes
    value: bytes


class BadRecord(NamedTuple):
    """Data that cannot be loaded: the number of the wrong line, the place after the data, and the reason."""

    line: int
    end: Place
    reason: str


class NoRecord(Exception):
    """Why data is not a record, and which line is wrong if not the first. Readers turn it into a BadRecord."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


class BadData(Exception):
    """Data that ends the load, with a message of one line for the user."""


Records: TypeAlias = Iterator[Record | BadRecord]
Reader: TypeAlias = Callable[..., Records]
"""Takes a binary file, a Place, and the options of the format by name."""


def lines_of(file: BinaryIO, start: Place) -> Iterator[tuple[Place, bytes]]:
    """The place after each line, and the line with its end; of a line beyond LINE_BYTES_MAX only the beginning."""
    position, number = start
    if position:
        file.seek(position)
    while line := file.readline(LINE_BYTES_MAX + 1):
        position += len(line)
        number += 1
        if len(line) > LINE_BYTES_MAX and not line.endswith(b"\n"):
            position += _skip_line(file)
        yield Place(position, number), line


def without_line_end(line: bytes) -> bytes:
    """The line without LF or CR LF."""
    return line.removesuffix(b"\n").removesuffix(b"\r") if line.endswith(b"\n") else line


def encoded(text: str) -> bytes:
    """The exact bytes of a command-line argument, which need not be valid UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def shown(path: Path | str) -> str:
    """A path as printable text, even if it is not valid UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def checked(line: int, end: Place, key: bytes, value: bytes) -> Record | BadRecord:
    """A Record if the store accepts the key and the value, else a BadRecord."""
    if not key:
        return BadRecord(line, end, "the key is empty")
    if len(key) > KEY_BYTES_MAX:
        return BadRecord(line, end, f"the key is longer than {KEY_BYTES_MAX:,} bytes")
    if len(value) > VALUE_BYTES_MAX:
        return BadRecord(line, end, f"the value is longer than {VALUE_BYTES_MAX:,} bytes")
    return Record(line, end, key, value)


def _skip_line(file: BinaryIO) -> int:
    """Skip the rest of the line. Returns the number of bytes skipped."""
    skipped = 0
    while piece := file.readline(_READ_AHEAD):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped
