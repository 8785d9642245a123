"""Reads every line of Python source below a directory, for the key `path:line-number`.

The demonstration uses it to load the source of the standard library.
"""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.records import BadRecord, Place, Record, Records, checked, shown


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of Python source. `name` is its path below the directory, in bytes."""

    name: bytes
    content: bytes

    @classmethod
    def read(cls, directory: Path, path: Path) -> SourceFile:
        """The file at a path below the directory."""
        return cls(os.fsencode(path.relative_to(directory)), path.read_bytes())

    @property
    def prefix(self) -> bytes:
        """The prefix of the keys of its lines."""
        return self.name + b":"

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """A key and a value for each line; values include the line ends."""
        for number, line in enumerate(self.content.splitlines(keepends=True), 1):
            yield self.prefix + b"%08d" % number, line


def standard_library() -> Path:
    """The directory of the standard library's source."""
    return Path(sysconfig.get_path("stdlib"))


def source_paths(directory: Path) -> list[Path]:
    """The Python files below the directory in order, except those in site-packages."""
    paths = directory.rglob("*.py")
    return sorted(path for path in paths if "site-packages" not in path.relative_to(directory).parts and path.is_file())


def source_files() -> list[SourceFile]:
    """The source files of the standard library."""
    library = standard_library()
    return [SourceFile.read(library, path) for path in source_paths(library)]


class SourceTree:
    """All source files below a directory as one input. Positions count bytes through all files in order."""

    def __init__(self, directory: Path) -> None:
        self.name = shown(directory)
        self.path = os.path.realpath(directory)
        self.reading = "pysource"
        self._directory = directory
        statuses = {path: path.stat() for path in source_paths(directory)}
        self._sizes = {path: status.st_size for path, status in statuses.items()}
        self.size: int | None = sum(self._sizes.values())
        listing = hashlib.blake2b(digest_size=16)
        for path, status in statuses.items():
            listing.update(b"%s\0%d\0%d\0" % (os.fsencode(path), status.st_size, status.st_mtime_ns))
        self.identity: dict[str, Any] | None = {"files": len(statuses), "listing": listing.hexdigest()}

    def records(self, start: Place) -> Records:
        """The lines after the place; only one file at a time is in memory."""
        position, number = 0, start.line
        for path, size in self._sizes.items():
            if position + size <= start.position:
                position += size
                continue
            for key, value in SourceFile.read(self._directory, path).records():
                position += len(value)
                if position > start.position:
                    number += 1
                    record = checked(number, Place(position, number), key, value)
                    yield record if isinstance(record, Record) else _naming(path, record)

    def consumed(self, place: Place) -> int:
        """Bytes of input read up to this place."""
        return place.position


def _naming(path: Path, bad: BadRecord) -> BadRecord:
    """The bad record with the file named in its reason, since its line number counts through all files."""
    return bad._replace(reason=f"in {shown(path)}: {bad.reason}")
