"""Replays the log into the overlays when a worker starts.

The recovery (workers/wal/recovery.py) has verified the log and made it durable, so replayed writes may be served. Many
records hold a single write, so the records of a range are collected and applied together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from shardstore.errors import Corruption
from shardstore.identifiers import RequestId
from shardstore.limits import KEY_BYTES_MAX, KEY_BYTES_MIN, VALUE_BYTES_MAX
from shardstore.wire.columns import InvalidColumn, decode
from shardstore.wire.wire_format import Flag
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.results import BARRED, WriteResult
from shardstore.workers.wal.record_format import Record, RecordKind

COLLECTED_ENTRIES = 4_096
_DELETE, _INCREMENT, _BAR = int(RecordKind.DELETE), int(RecordKind.INCREMENT), int(RecordKind.BAR)
_KEYS_FIXED, _VALUES_FIXED = Flag.KEYS_FIXED, Flag.VALUES_FIXED


class Replayed(NamedTuple):
    """The LSN from which damaged ranges need the log, None if none does; and the newest segment with records."""

    first_kept: int | None
    newest_segment: int


def replay(ranges: Mapping[int, OwnedRange], records: Iterable[Record], log_id: int) -> Replayed:
    """Apply the records that no table holds yet to the overlays.

    A segment is logged by one worker all its life. So a segment that is not among the ranges no longer exists, and its
    records are skipped.
    """
    waiting = {
        segment: _Waiting(owned, owned.segment.manifest.checkpoint_of(log_id) if owned.segment else 0)
        for segment, owned in ranges.items()
        if owned.damage is None
    }
    first_kept: int | None = None
    newest_segment = 0
    for record in records:
        newest_segment = max(newest_segment, record.segment)
        of_range = waiting.get(record.segment)
        if of_range is None:
            first_kept = first_kept or (record.lsn if record.segment in ranges else None)
        elif record.lsn > of_range.checkpoint:
            of_range.take(record)
    for of_range in waiting.values():
        of_range.apply()
    return Replayed(first_kept, newest_segment)


class _Waiting:
    """Records of one range that are not applied yet, in the order of the log: either puts or deletes."""

    def __init__(self, owned: OwnedRange, checkpoint: int) -> None:
        self.checkpoint = checkpoint
        self._owned = owned
        self._deletes = False
        self._keys: list[bytes] = []
        self._values: list[bytes] = []
        self._requests: list[tuple[RequestId, int, WriteResult]] = []
        self._payload_bytes = 0

    def take(self, record: Record) -> None:
        """Collect a record. Applies the earlier ones first if they are of the other kind, or many."""
        kind, layout, entries, lsn, _, _, _, client, sequence, keys, values = record
        if kind == _BAR:
            self._requests.append((RequestId(client, sequence), lsn, BARRED))
            return
        deletes = kind == _DELETE
        if deletes is not self._deletes or len(self._keys) >= COLLECTED_ENTRIES:
            self.apply()
            self._deletes = deletes
        try:
            self._keys += decode(keys, bool(layout & _KEYS_FIXED), entries, KEY_BYTES_MIN, KEY_BYTES_MAX)
            if not deletes:
                self._values += decode(values, bool(layout & _VALUES_FIXED), entries, 0, VALUE_BYTES_MAX)
        except InvalidColumn as error:
            raise Corruption(f"log record {lsn}", 0, f"passes its checksum but is no batch: {error}") from None
        self._payload_bytes += len(keys) + len(values)
        result = bytes(values) if kind == _INCREMENT else None
        self._requests.append((RequestId(client, sequence), lsn, result))

    def apply(self) -> None:
        """Apply the collected records."""
        if not self._requests:
            return
        active, lsn_first = self._owned.overlay.active, self._requests[0][1]
        if self._deletes:
            active.delete(self._keys, self._payload_bytes, lsn_first)
        else:
            active.put(self._keys, self._values, self._payload_bytes, lsn_first)
        for request, lsn, result in self._requests:
            self._owned.dedup.note_again(request, lsn, result)
        self._keys, self._values, self._requests, self._payload_bytes = [], [], [], 0
