"""Opening the ranges a worker was given: segments from their manifests, overlays from the log.

The log was verified and made durable by workers.wal.recovery before anything here reads it, so what is replayed
may be served.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shardstore.columns import InvalidColumn, decode
from shardstore.errors import Corruption
from shardstore.file_names import SEGMENTS, manifest, segment_of
from shardstore.filesystem import Filesystem
from shardstore.identifiers import RequestId
from shardstore.key_range import KeyRange
from shardstore.limits import KEY_BYTES_MAX, KEY_BYTES_MIN, VALUE_BYTES_MAX
from shardstore.messages import Assignment
from shardstore.wire_format import Flag
from workers.ranges.dedup import DedupWindow
from workers.ranges.owned_range import OwnedRange
from workers.segment.manifest import Manifest, read_manifest
from workers.segment.segment import Segment
from workers.wal.log_document import read_log_document
from workers.wal.record_format import Record, RecordKind


def readable_manifests(filesystem: Filesystem, store: str) -> list[Manifest]:
    """Every manifest that can be read. Damage is reported when its range is opened, not here."""
    found = []
    for name in filesystem.list_directory(SEGMENTS):
        segment = segment_of(name)
        if segment is not None and filesystem.exists(manifest(segment)):
            try:
                found.append(read_manifest(filesystem, store, segment))
            except Corruption:
                continue
    return found


def highest_lsn_in_tables(filesystem: Filesystem, store: str, worker: int, manifests: Sequence[Manifest]) -> int:
    """The highest LSN of the worker's log that a table holds; the log itself may have lost it."""
    try:
        log_id = read_log_document(filesystem, store, worker).log_id
    except FileNotFoundError:
        return 0
    return max((manifest.checkpoint_of(log_id) for manifest in manifests), default=0)


def open_range(filesystem: Filesystem, store: str, assignment: Assignment) -> OwnedRange:
    """The range, its segment opened or created. Damage makes a range that answers with it."""
    key_range = KeyRange(assignment.start, assignment.end)
    try:
        segment = _open_segment(filesystem, store, assignment, key_range)
        dedup = DedupWindow.from_document(segment.manifest.dedup)
        return OwnedRange(assignment.segment, key_range, assignment.epoch, segment, dedup)
    except Corruption as damage:
        return OwnedRange(assignment.segment, key_range, assignment.epoch, None, DedupWindow(), damage)


def replay(ranges: dict[int, OwnedRange], records: Iterable[Record], log_id: int) -> int | None:
    """Put what no table holds yet into the overlays. Answers the LSN from which unopened ranges need the log."""
    first_kept: int | None = None
    for record in records:
        owned = ranges.get(record.segment)
        if owned is None or owned.segment is None:
            first_kept = first_kept or record.lsn
        elif record.lsn > owned.segment.manifest.checkpoint_of(log_id):
            _replay_record(owned, record)
    return first_kept


def _open_segment(filesystem: Filesystem, store: str, assignment: Assignment, key_range: KeyRange) -> Segment:
    path = manifest(assignment.segment)
    if not filesystem.exists(path):
        if not assignment.create:
            raise Corruption(path, 0, "the segment is in the route map, but its manifest is missing")
        return Segment.create(filesystem, store, assignment.segment, key_range, assignment.epoch)
    segment = Segment.open(filesystem, store, assignment.segment)
    if (segment.manifest.start, segment.manifest.end) != (key_range.start, key_range.end):
        raise Corruption(path, 0, f"holds {segment.manifest.start!r} to {segment.manifest.end!r}, not {key_range}")
    segment.remove_orphans()
    return segment


def _replay_record(owned: OwnedRange, record: Record) -> None:
    payload_bytes = len(record.keys) + len(record.values)
    try:
        keys = decode(record.keys, bool(record.layout & Flag.KEYS_FIXED), record.entries, KEY_BYTES_MIN, KEY_BYTES_MAX)
        if record.kind == RecordKind.DELETE:
            owned.overlay.active.delete(keys, payload_bytes, record.lsn)
        else:
            values = _values(record)
            owned.overlay.active.put(keys, values, payload_bytes, record.lsn)
    except InvalidColumn as error:
        raise Corruption(f"log record {record.lsn}", 0, f"passes its checksum but is no batch: {error}") from None
    owned.dedup.note(RequestId(record.client, record.sequence), record.lsn)


def _values(record: Record) -> Sequence[bytes]:
    return decode(record.values, bool(record.layout & Flag.VALUES_FIXED), record.entries, 0, VALUE_BYTES_MAX)
