"""The manifest of a segment: which tables hold it, and which log records they hold already (see documents.py).

Fields as in the class; tables as in TableRecord. A table is part of the segment when, and only when, the manifest
names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shardstore import file_names
from shardstore.documents import HEAD_BYTES, encode_document, publish, read_document
from shardstore.errors import Corruption
from shardstore.filesystem import Filesystem
from shardstore.key_range import KeyRange
from shardstore.messages import from_plain, to_plain
from shardstore.wire_format import MalformedMessage
from workers.segment.table_format import TableRecord

MAGIC = b"shardMAN"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of a segment. `checkpoint`: by log id, the LSN up to which the tables hold the log.

    `tables` go from the oldest to the newest. `dedup` is kept for the owner of the segment, as it gave it.
    """

    store: str
    segment: int
    start: bytes
    end: bytes
    epoch: int
    version: int
    table_number_next: int
    tables: tuple[TableRecord, ...]
    checkpoint: dict[int, int]
    dedup: dict[str, Any]

    @property
    def key_range(self) -> KeyRange:
        """The range of keys."""
        return KeyRange(self.start, self.end)

    def checkpoint_of(self, log_id: int) -> int:
        """The LSN of this log up to which the tables hold it; 0 when they hold nothing of it."""
        return self.checkpoint.get(log_id, 0)


def new_manifest(store: str, segment: int, key_range: KeyRange, epoch: int) -> Manifest:
    """The first manifest of a segment: no table."""
    return Manifest(store, segment, key_range.start, key_range.end, epoch, 1, 1, (), {}, {})


def publish_manifest(filesystem: Filesystem, manifest: Manifest) -> None:
    """Make this the manifest of its segment, atomically and durably. The tables it names are durable before."""
    publish(filesystem, file_names.manifest(manifest.segment), encode_document(MAGIC, VERSION, to_plain(manifest)))


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
    return manifest
