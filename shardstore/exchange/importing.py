"""An import: from a file into a store.

A file is read twice: first whole, so that nothing is imported of a damaged file, or if a space of the store has other
types; then its entries are put. How far that came is kept beside it, in FILE.progress, so that an import that was
interrupted goes on. Entries of the store that are not in the file stay.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from io import BufferedReader
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from shardstore.errors import Corruption
from shardstore.exchange import forms, parquet
from shardstore.exchange.content import ExportEntries, ExportSection, Placed, without_moment
from shardstore.exchange.exporting import Report, refusals_of
from shardstore.exchange.sections import target_prefix
from shardstore.identifiers import Expiring
from shardstore.system.system_clock import SystemWallClock

if TYPE_CHECKING:
    from shardstore.client.blocking.client import Client


class Difference(NamedTuple):
    """An entry of a file that a store does not have so."""

    section: ExportSection
    key: bytes


class Content(NamedTuple):
    """What a file has: its sections, and how many entries."""

    sections: list[ExportSection]
    entries: int


def read_pieces(file: BinaryIO, path: str) -> Iterator[Placed]:
    """Iterate over the pieces of a file from its start, whatever its form. Raises Corruption."""
    file.seek(0)
    form = forms.form_begun_by(file.read(forms.START_BYTES))
    file.seek(0)
    return parquet.read(path) if form == forms.PARQUET else forms.READERS[form](file, path)


def read_pipe(pipe: BufferedReader, path: str) -> Iterator[Placed]:
    """Iterate over the pieces of what is read only once, JSON Lines or a bundle.

    Raises Corruption, which says how many entries came before the damage.
    """
    total = 0
    form = forms.form_begun_by(pipe.peek(forms.START_BYTES)[: forms.START_BYTES])
    try:
        if form not in forms.READERS:
            raise Corruption(path, 0, "a file of Parquet is not read from a pipe: name the file")
        for placed in forms.READERS[form](pipe, path):
            yield placed
            if isinstance(placed.piece, ExportEntries):
                total += len(placed.piece.keys)
    except Corruption as error:
        raise Corruption(error.file, error.offset, f"{error.what}. {total:,} entries before it are imported") from None


def check(pieces: Iterator[Placed], report: Report) -> Content:
    """Read a file whole. Returns what it has. Raises Corruption."""
    content = Content([], 0)
    for placed in pieces:
        if isinstance(placed.piece, ExportSection):
            content.sections.append(placed.piece)
        elif isinstance(placed.piece, ExportEntries):
            content = content._replace(entries=content.entries + len(placed.piece.keys))
            report(len(placed.piece.keys))
    return content


class ImportProgress:
    """How far the import of a file into a store came, in FILE.progress. It does not count for another file or store."""

    def __init__(self, path: str, file: BinaryIO, store: str) -> None:
        status = os.fstat(file.fileno())
        self._path = path + ".progress"
        self._of = {"store": store, "bytes": status.st_size, "modified_ns": status.st_mtime_ns}

    def load(self) -> int:
        """Return up to which offset the entries of the file are in the store."""
        try:
            with open(self._path) as kept:
                found = json.load(kept)
        except (OSError, ValueError):
            return 0
        offset = found.pop("imported_bytes", 0) if isinstance(found, dict) else 0
        return offset if found == self._of and type(offset) is int else 0

    def keep(self, offset: int) -> None:
        """Note that the entries up to this offset are in the store. Raises StorageFailure."""
        with refusals_of(self._path):
            with open(self._path + ".new", "w") as file:
                json.dump({**self._of, "imported_bytes": offset}, file)
            os.replace(self._path + ".new", self._path)

    def forget(self) -> None:
        """Remove what was kept."""
        if os.path.exists(self._path):
            os.remove(self._path)


def put_all(
    db: Client, pieces: Iterator[Placed], from_offset: int, timeout: float | None, report: Report
) -> Iterator[int]:
    """Put the entries of a file, but for those before an offset, and for those that have expired meanwhile.

    Yields up to where they are in the store.
    """
    prefix = b""
    for placed in pieces:
        piece = placed.piece
        if isinstance(piece, ExportSection):
            prefix = target_prefix(db, piece, timeout)
        elif isinstance(piece, ExportEntries):
            if placed.behind > from_offset:
                _put(db, prefix, piece, timeout)
                yield placed.behind
            report(len(piece.keys))


def differences(db: Client, pieces: Iterator[Placed], timeout: float | None, report: Report) -> Iterator[Difference]:
    """Iterate over the entries of a file that a store does not have so; what has expired does not count."""
    section, prefix = ExportSection(), b""
    for placed in pieces:
        piece = placed.piece
        if isinstance(piece, ExportSection):
            section, prefix = piece, target_prefix(db, piece, timeout)
        elif isinstance(piece, ExportEntries):
            found = db.get_many(_stored_keys(prefix, piece), timeout=timeout)
            wanted = list(map(without_moment, piece.values))
            if found != wanted:
                yield from _different(section, piece, found, SystemWallClock().now_ms())
            report(len(piece.keys))


def _different(
    section: ExportSection, piece: ExportEntries, found: list[bytes | None], now_ms: int
) -> Iterator[Difference]:
    for key, wanted, value in zip(piece.keys, piece.values, found, strict=True):
        is_over = type(wanted) is Expiring and wanted.moment <= now_ms
        if value != without_moment(wanted) and not is_over:
            yield Difference(section, key)


def _put(db: Client, prefix: bytes, entries: ExportEntries, timeout: float | None) -> None:
    keys = _stored_keys(prefix, entries)
    if Expiring not in set(map(type, entries.values)):
        db.put_many(zip(keys, entries.values, strict=True), timeout=timeout)  # type: ignore[arg-type]
        return
    pairs: list[tuple[bytes, Any]] = list(zip(keys, entries.values, strict=True))
    db.put_many([pair for pair in pairs if type(pair[1]) is not Expiring], timeout=timeout)
    now_ms = SystemWallClock().now_ms()
    living = [pair for pair in pairs if type(pair[1]) is Expiring and pair[1].moment > now_ms]
    db._put_until(living, timeout=timeout)


def _stored_keys(prefix: bytes, entries: ExportEntries) -> list[bytes]:
    return list(map(prefix.__add__, entries.keys))
