"""An export: from a store into a file.

A file that is not whole yet has another name, made of what is exported: FILE.<digits>.part. The same export of the same
store finds it and goes on behind its last whole piece; another one does not touch it. Each range of the store is shown
as of the moment when the scan reached it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from shardstore.checksum import checksum
from shardstore.client.calls.scan import AllAtOnce
from shardstore.errors import Corruption, InvalidRequest, ScanInvalidated, StorageFailure
from shardstore.exchange.content import ExportEnd, ExportEntries, ExportSection, Placed
from shardstore.exchange.forms import READERS, Writer, writer_of
from shardstore.exchange.sections import Source
from shardstore.key_range import KeyRange

if TYPE_CHECKING:
    from shardstore.client.blocking.client import Client

Report = Callable[[int], object]
"""Is called with how many more entries are done."""


class Begun(NamedTuple):
    """How far a file was written: its sections, the last key of the last one, its entries, and where it ends."""

    sections: list[ExportSection]
    last_key: bytes | None
    entries: int
    offset: int


class Export:
    """One export of the store with this identity. `run` may be called again, also by another process: it goes on."""

    def __init__(
        self, db: Client, store: str, path: str, form: str, sources: Sequence[Source], timeout: float | None
    ) -> None:
        self._db = db
        self._path = new_file(path)
        self._part = f"{path}.{checksum(repr((store, form, sources)).encode()):016x}.part"
        self._form = form
        self._sources = sources
        self._timeout = timeout

    @property
    def is_begun(self) -> bool:
        """Whether there is a file to go on with."""
        return os.path.exists(self._part)

    def run(self, report: Report) -> int:
        """Write the file. Returns how many entries it has.

        Raises StorageFailure, and the errors of scans.
        """
        with refusals_of(self._part), open(self._part, "a+b") as file:
            begun = written_so_far(file, self._form, self._part)
            file.truncate(begun.offset)
            writer = writer_of(self._form, file, begun.offset)
            report(begun.entries)
            total = begun.entries + self._write(writer, begun, report)
            writer.end(total)
        give_name(self._part, self._path)
        return total

    def _write(self, writer: Writer, begun: Begun, report: Report) -> int:
        written = 0
        for number, source in enumerate(self._sources):
            wanted: KeyRange | None = source.key_range
            if number < len(begun.sections) - 1:
                continue
            if number == len(begun.sections) - 1:
                writer.go_on(source.section)
                if begun.last_key is not None:
                    wanted = source.key_range.intersection(KeyRange(source.prefix + begun.last_key + b"\0"))
            else:
                writer.section(source.section)
            for entries in pages(self._db, source.prefix, wanted, self._timeout):
                writer.entries(entries)
                written += len(entries.keys)
                report(len(entries.keys))
        return written


def write_all(
    db: Client, file: BinaryIO, form: str, sources: Sequence[Source], timeout: float | None, report: Report
) -> int:
    """Write an export into a file that cannot be read again, such as a pipe. Returns how many entries it has."""
    writer, total = writer_of(form, file), 0
    for source in sources:
        writer.section(source.section)
        for entries in pages(db, source.prefix, source.key_range, timeout):
            writer.entries(entries)
            total += len(entries.keys)
            report(len(entries.keys))
    writer.end(total)
    return total


def pages(db: Client, prefix: bytes, wanted: KeyRange | None, timeout: float | None) -> Iterator[ExportEntries]:
    """Iterate over the entries of a section, a page at a time.

    A scan that its worker cannot continue goes on behind its last key.
    """
    while wanted is not None:
        try:
            for keys, values in db._scan_with_moments(wanted, AllAtOnce(), timeout=timeout):
                yield ExportEntries(keys if not prefix else [key[len(prefix) :] for key in keys], values)
                wanted = wanted.intersection(KeyRange(keys[-1] + b"\0"))
                if wanted is None:
                    return
            return
        except ScanInvalidated:
            continue


def written_so_far(file: BinaryIO, form: str, path: str) -> Begun:
    """Return how far a file was written. What follows its last whole piece does not count."""
    begun = Begun([], None, 0, 0)
    file.seek(0)
    try:
        for placed in READERS[form](file, path):
            begun = _behind(begun, placed)
    except Corruption:
        pass  # as a rule the piece that was being written when the export was interrupted
    return begun


def _behind(begun: Begun, placed: Placed) -> Begun:
    piece = placed.piece
    if isinstance(piece, ExportSection):
        return Begun([*begun.sections, piece], None, begun.entries, placed.behind)
    if isinstance(piece, ExportEnd):
        return begun  # the end is written anew
    return begun._replace(last_key=piece.keys[-1], entries=begun.entries + len(piece.keys), offset=placed.behind)


def new_file(path: str) -> str:
    """Return the name of a file that is to be written. Raises InvalidRequest if there is one."""
    if os.path.exists(path):
        raise InvalidRequest(f"{path!r} exists: remove it, or choose another name")
    return path


def give_name(part: str, path: str) -> None:
    """Give a file that was written as `part` its name, durably. Raises StorageFailure."""
    with refusals_of(path):
        _sync(part, os.O_RDONLY)
        os.replace(part, path)
        _sync(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def refusals_of(path: str) -> Iterator[None]:
    """Turn an error of the operating system into StorageFailure, which names the file."""
    try:
        yield
    except OSError as error:
        raise StorageFailure(f"{path!r}: {error.strerror}") from None
