"""Where records come from: files, also compressed ones, and the standard input."""

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
"""What reading raises when a file cannot be read, or its compressed data is damaged or cut off."""

_COMPRESSIONS: Mapping[str, Callable[[BinaryIO], Any]] = {
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".xz": lzma.LZMAFile,
    ".bz2": bz2.BZ2File,
}


@dataclass(frozen=True, slots=True)
class Format:
    """A reader and the options that, with the file, determine every record."""

    name: str
    reader: Reader
    options: Mapping[str, Any]

    def read(self, file: BinaryIO, start: Place) -> Records:
        """What the reader gives with these options."""
        return self.reader(file, start, **self.options)

    def __str__(self) -> str:
        return f"{self.name} {json.dumps(self.options, sort_keys=True)}"


class Input(Protocol):
    """Something to load."""

    name: str
    """For messages."""
    path: str
    """The same for the same file, wherever the script is run from."""
    reading: str
    """How it is read: the format and its options."""
    size: int | None
    """Bytes of input, for the progress bar; None where nobody knows."""
    identity: dict[str, Any] | None
    """What changes when the content may have changed; None for what can be read only once."""

    def records(self, start: Place) -> Records:
        """What stands behind a place."""

    def consumed(self, place: Place) -> int:
        """Bytes of input read up to this place."""


class FileInput:
    """A file in one of the formats, or the standard input. What is no regular file, a pipe, can be read only once."""

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
        """What stands behind a place. Raises one of UNREADABLE, or BadData."""
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
        """Bytes of input read up to this place; of a compressed file, its own bytes."""
        if self._compression is None or self._file is None or self._file.closed:
            return place.position
        return self._file.tell()
