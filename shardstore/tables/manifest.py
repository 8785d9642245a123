"""The manifest of a segment: which tables hold it, and which log records they hold already (see documents.py).

Fields as in the class; tables as in TableRecord. A table is part of the segment when, and only when, the manifest
names it. Version 1 had no layers, one list of tables from the oldest to the newest in place of them; version 2 had no
linked tables, no virtual parts, and no results of requests in `dedup`; version 3 had there every sequence by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any, TypeAlias

from shardstore.errors import Corruption
from shardstore.files import file_names
from shardstore.files.documents import HEAD_BYTES, encode_document, read_document
from shardstore.key_range import KeyRange
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.table_format import TableRecord
from shardstore.wire.messages import from_plain, to_plain
from shardstore.wire.wire_format import MalformedMessage

MAGIC = b"shardMAN"
VERSION = 4
SEGMENT_VERSION_MAX = 2**63 - 1

Parts: TypeAlias = tuple[TableRecord, ...]
"""The parts of a main: in key order, their key intervals apart."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of a segment. `checkpoint`: by log id, the LSN up to which the tables hold the log.

    The layers from the newest to the oldest: `deltas`, of which the last is the newest; `main`; `bottoms`, sealed
    older mains, of which the last is the newest. What a newer layer says of a key holds. `dedup` is kept for the
    owner of the segment, as it gave it (ranges/dedup.py).
    """

    store: str
    segment: int
    start: bytes
    end: bytes
    epoch: int
    version: int
    table_number_next: int
    deltas: tuple[TableRecord, ...]
    main: Parts
    bottoms: tuple[Parts, ...]
    checkpoint: dict[int, int]
    dedup: dict[str, Any]

    @property
    def key_range(self) -> KeyRange:
        """The range of keys."""
        return KeyRange(self.start, self.end)

    @property
    def mains(self) -> tuple[Parts, ...]:
        """The bottom mains and the main, oldest first."""
        return *self.bottoms, self.main

    @property
    def tables(self) -> tuple[TableRecord, ...]:
        """Every table: those of older layers first, parts of one layer in key order."""
        return *chain.from_iterable(self.mains), *self.deltas

    def without_window(self) -> Manifest:
        """The manifest as the owner of the segment keeps it in memory: it has the window in another form."""
        return replace(self, dedup={}) if self.dedup else self

    def checkpoint_of(self, log_id: int) -> int:
        """The LSN of this log up to which the tables hold it; 0 when they hold nothing of it."""
        return self.checkpoint.get(log_id, 0)

    def successor(self, **changes: Any) -> Manifest:
        """The next version, with these changes. Raises Corruption when there is no next one.

        No segment is published that often: a number so large was not counted.
        """
        if self.version >= SEGMENT_VERSION_MAX:
            raise Corruption(file_names.manifest(self.segment), HEAD_BYTES, f"version {self.version} can have no next")
        return replace(self, version=self.version + 1, **changes)


def share_bytes_of(tables: tuple[TableRecord, ...]) -> int:
    """Bytes of the files of these tables, of a virtual part its share."""
    return sum([table.share_bytes for table in tables])


def new_manifest(store: str, segment: int, key_range: KeyRange, epoch: int) -> Manifest:
    """The first manifest of a segment: no table."""
    return Manifest(store, segment, key_range.start, key_range.end, epoch, 1, 1, (), (), (), {}, {})


def encode_manifest(manifest: Manifest) -> bytes:
    """The document of this manifest."""
    assert all(map(_are_apart, manifest.mains))
    assert all(map(_is_within_bounds, manifest.tables))
    return encode_document(MAGIC, VERSION, to_plain(manifest))


def read_manifest(filesystem: Filesystem, store: str, segment: int) -> Manifest:
    """What was published last. Raises FileNotFoundError, and Corruption for damage or another store or segment."""
    path = file_names.manifest(segment)
    body = read_document(filesystem, path, MAGIC, VERSION)
    try:
        manifest = from_plain(Manifest, body)
    except MalformedMessage as error:
        raise Corruption(path, HEAD_BYTES, str(error)) from None
    if (manifest.store, manifest.segment) != (store, segment):
        theirs = f"segment {manifest.segment} of store {manifest.store}"
        raise Corruption(path, HEAD_BYTES, f"{theirs}, not segment {segment} of store {store}")
    if not all(map(_are_apart, manifest.mains)):
        raise Corruption(path, HEAD_BYTES, "the parts of a main overlap or are out of order")
    for table in manifest.tables:
        if not _is_within_bounds(table):
            raise Corruption(path, HEAD_BYTES, f"table {table.number} is said to hold more than its bounds allow")
    return manifest


def _is_within_bounds(table: TableRecord) -> bool:
    """Whether of a virtual part no more is told than there can be."""
    within = table.start <= table.key_first and (not table.end or table.key_last < table.end)
    return not table.is_virtual or (within and 0 < table.entries <= table.file_entries)


def _are_apart(parts: Parts) -> bool:
    return all(left.key_last < right.key_first for left, right in pairwise(parts))
