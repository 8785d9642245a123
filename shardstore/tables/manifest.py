"""The manifest of a segment: names its tables and the log records that they hold. The format is that of documents.py.

Fields are those of Manifest and TableRecord. A table belongs to the segment if, and only if, the manifest names it.

Version 5 did not have `expiring` and `moments` of tables, and version 4 not the format of each table and of the
manifest. Older versions are not read: 1 had a single list of tables, oldest first, and no layers; 2 had no linked
tables, no virtual parts and no results of requests in `dedup`; 3 listed every sequence number in `dedup`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any, TypeAlias

from shardstore.errors import Corruption
from shardstore.files import file_names, formats
from shardstore.files.documents import HEAD_BYTES, encode_document, read_document
from shardstore.key_range import KeyRange
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.table_format import TableRecord
from shardstore.wire.messages import from_plain, to_plain
from shardstore.wire.wire_format import MalformedMessage

SEGMENT_VERSION_MAX = 2**63 - 1

Parts: TypeAlias = tuple[TableRecord, ...]
"""The parts of a main, in key order. Their keys do not overlap."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of a segment.

    The layers, from new to old: `deltas` (the last is the newest), `main`, and `bottoms`, the bottom mains (the last is
    the newest). A newer layer overrides an older one. `checkpoint` maps a log id to the LSN up to which the tables hold
    that log. `dedup` is the dedup window of the segment's owner, stored unchanged (workers/ranges/dedup.py). `format`
    is the format version of the file that it was read from.
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
    format: int = formats.MANIFEST.version

    @property
    def key_range(self) -> KeyRange:
        """The keys of the segment."""
        return KeyRange(self.start, self.end)

    @property
    def mains(self) -> tuple[Parts, ...]:
        """The bottom mains and the main, oldest first."""
        return *self.bottoms, self.main

    @property
    def tables(self) -> tuple[TableRecord, ...]:
        """All tables, from the oldest layer to the newest; the parts of a main in key order."""
        return *chain.from_iterable(self.mains), *self.deltas

    @property
    def old_tables(self) -> int:
        """How many tables have a former format version."""
        return sum([table.is_old for table in self.tables])

    @property
    def is_old(self) -> bool:
        """Whether the file that it was read from has a former format version."""
        return self.format < formats.MANIFEST.version

    def without_window(self) -> Manifest:
        """Return the manifest with an empty `dedup`. The segment's owner keeps its dedup window in another form."""
        return replace(self, dedup={}) if self.dedup else self

    def checkpoint_of(self, log_id: int) -> int:
        """Return the LSN up to which the tables hold this log; 0 if they hold none of it."""
        return self.checkpoint.get(log_id, 0)

    def successor(self, **changes: Any) -> Manifest:
        """Return the next version, with these changes. Raises Corruption if the version number is the highest possible.

        No segment is ever published that often, so such a number must be damage.
        """
        if self.version >= SEGMENT_VERSION_MAX:
            raise Corruption(file_names.manifest(self.segment), HEAD_BYTES, f"version {self.version} can have no next")
        return replace(self, version=self.version + 1, format=formats.MANIFEST.version, **changes)


def share_bytes_of(tables: tuple[TableRecord, ...]) -> int:
    """Return the size of these tables' files, counting of each virtual part only its share."""
    return sum([table.share_bytes for table in tables])


def new_manifest(store: str, segment: int, key_range: KeyRange, epoch: int) -> Manifest:
    """Return the first manifest of a segment. It names no table."""
    return Manifest(store, segment, key_range.start, key_range.end, epoch, 1, 1, (), (), (), {}, {})


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the file content of this manifest."""
    assert not manifest.is_old
    assert all(map(_are_apart, manifest.mains))
    assert all(map(_is_within_bounds, manifest.tables))
    return encode_document(formats.MANIFEST, to_plain(manifest))


def read_manifest(filesystem: Filesystem, store: str, segment: int) -> Manifest:
    """Read the manifest of a segment. Raises FileNotFoundError, and Corruption if it is damaged or another one."""
    path = file_names.manifest(segment)
    version, body = read_document(filesystem, path, formats.MANIFEST)
    try:
        manifest = from_plain(Manifest, body if version == formats.MANIFEST.version else _completed(body, version))
    except (MalformedMessage, KeyError, TypeError) as error:
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


def _completed(body: dict[str, Any], version: int) -> dict[str, Any]:
    """Return the body of a former version as one of this version: no table has moments, and in 4 all have version 3."""
    missing: dict[str, Any] = {"expiring": 0, "moments": []} | ({"format": 3} if version == 4 else {})

    def complete(tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [table | missing for table in tables]

    layers = {"deltas": complete(body["deltas"]), "main": complete(body["main"])}
    return body | layers | {"bottoms": list(map(complete, body["bottoms"])), "format": version}


def _is_within_bounds(table: TableRecord) -> bool:
    """Whether the record of a virtual part claims no more than its bounds and its file allow."""
    within = table.start <= table.key_first and (not table.end or table.key_last < table.end)
    return not table.is_virtual or (within and 0 < table.entries <= table.file_entries)


def _are_apart(parts: Parts) -> bool:
    return all(left.key_last < right.key_first for left, right in pairwise(parts))
