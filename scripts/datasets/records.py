"""What every reader gives: records, lines that are none, and the places between them.

A reader is a function of a binary file and a place in it. It gives a Record or a BadRecord for whatever stands behind
that place, in the order of the file, and holds no more than one record in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from shardstore.limits import KEY_BYTES_MAX, MIB, VALUE_BYTES_MAX

LINE_BYTES_MAX = 2 * VALUE_BYTES_MAX
"""A longer line can be no record, and is not kept. Twice a value, because quotes in a CSV field are doubled."""
KEY_SEPARATOR = ":"
"""Between the parts of a key that is made of several columns or fields."""

_READ_AHEAD = MIB


class Place(NamedTuple):
    """A boundary between records: how many bytes and lines stand before it."""

    position: int = 0
    line: int = 0


class Record(NamedTuple):
    """A key and its value; the number of its first line, and the place behind it."""

    line: int
    end: Place
    key: bytes
    value: bytes


class BadRecord(NamedTuple):
    """What cannot be loaded: the number of the line that is to blame, the place behind all of it, and the reason."""

    line: int
    end: Place
    reason: str


class NoRecord(Exception):
    """Why something is no record, and the line to blame if it is not the first; readers make a BadRecord of it."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


class BadData(Exception):
    """Data that ends the load, in one line for the user."""


Records: TypeAlias = Iterator[Record | BadRecord]
Reader: TypeAlias = Callable[..., Records]
"""Takes a binary file, a Place, and the options of its format by name."""


def lines_of(file: BinaryIO, start: Place) -> Iterator[tuple[Place, bytes]]:
    """The place behind each line, and the line with its end; of a line beyond LINE_BYTES_MAX only the beginning."""
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
    """The bytes of a word of the command line, whatever they were."""
    return text.encode("utf-8", "surrogateescape")


def shown(path: Path | str) -> str:
    """A path for the eye, also one that is no text."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def checked(line: int, end: Place, key: bytes, value: bytes) -> Record | BadRecord:
    """The record, if the store takes such a key and such a value."""
    if not key:
        return BadRecord(line, end, "the key is empty")
    if len(key) > KEY_BYTES_MAX:
        return BadRecord(line, end, f"the key is longer than {KEY_BYTES_MAX:,} bytes")
    if len(value) > VALUE_BYTES_MAX:
        return BadRecord(line, end, f"the value is longer than {VALUE_BYTES_MAX:,} bytes")
    return Record(line, end, key, value)


def _skip_line(file: BinaryIO) -> int:
    """Read on to the end of the line; answers how many bytes that were."""
    skipped = 0
    while piece := file.readline(_READ_AHEAD):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped
