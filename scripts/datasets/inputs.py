"""The sources of records: files, which may be compressed, and the standard input."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import stat
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from datasets.records import Place, Reader, Records, shown
from shardstore.limits import MIB

STANDARD_INPUT = "-"
READ_BYTES = MIB

UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""The errors raised when a file cannot be read, or its compressed data is damaged or cut off."""

_COMPRESSIONS: Mapping[str, Callable[[BinaryIO], Any]] = {
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".xz": lzma.LZMAFile,
    ".bz2": bz2.BZ2File,
}


@dataclass(frozen=True, slots=True)
class Format:
    """A reader and its options. Together with the file, they determine every record."""

    name: str
    reader: Reader
    options: Mapping[str, Any]

    def read(self, file: BinaryIO, start: Place) -> Records:
        """The records that the reader finds with these options."""
        return self.reader(file, start, **self.options)

    def __str__(self) -> str:
        return f"{self.name} {json.dumps(self.options, sort_keys=True)}"


class Input(Protocol):
    """A source of records to load."""

    name: str
    """The name in messages."""
    path: str
    """The absolute path, so that a file has the same path whatever the current directory."""
    reading: str
    """The format and its options, as text."""
    size: int | None
    """Bytes of input, for the progress bar; None if unknown."""
    identity: dict[str, Any] | None
    """Attributes that change if the content may have changed; None if the input can be read only once."""

    def records(self, start: Place) -> Records:
        """The records after a place."""

    def consumed(self, place: Place) -> int:
        """Bytes of input read up to this place."""


class FileInput:
    """A file in one of the formats, or the standard input. An irregular file, such as a pipe, can be read only once."""

    def __init__(self, path: str, form: Format) -> None:
        self.name = "standard input" if path == STANDARD_INPUT else shown(path)
        self.path = os.path.realpath(path)
        self.reading = str(form)
        self.size: int | None = None
        self.identity: dict[str, Any] | None = None
        self._given = path
        self._form = form
        self._compression = _COMPRESSIONS.get(os.path.splitext(path)[1])
        self._file: BinaryIO | None = None
        status = None if path == STANDARD_INPUT else os.stat(path)
        if status is not None and stat.S_ISREG(status.st_mode):
            self.size = status.st_size
            self.identity = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}

    def records(self, start: Place) -> Records:
        """The records after a place. Raises one of UNREADABLE, or BadData."""
        if self._given == STANDARD_INPUT:
            yield from self._form.read(sys.stdin.buffer, start)
            return
        with open(self._given, "rb", READ_BYTES) as self._file:
            if self._compression is None:
                yield from self._form.read(self._file, start)
            else:
                with self._compression(self._file) as content:
                    yield from self._form.read(content, start)

    def consumed(self, place: Place) -> int:
        """Bytes of input read up to this place; for a compressed file, its compressed bytes."""
        if self._compression is None or self._file is None or self._file.closed:
            return place.position
        return self._file.tell()
