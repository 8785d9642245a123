"""Replays the log into the overlays when a worker starts.

The recovery (workers/wal/recovery.py) has verified the log and made it durable, so replayed writes may be served. Many
records hold a single write, so the records of a range are collected and applied together. Single puts and deletes are
collected many at a time, all others one by one. The columns of a run are cut once for all of its ranges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise, repeat
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from shardstore.errors import Corruption
from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.limits import EXPIRING_BYTES, KEY_BYTES_MAX, KEY_BYTES_MIN, VALUE_BYTES_MAX
from shardstore.wire.columns import InvalidColumn, decode
from shardstore.wire.wire_format import Flag
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.results import BARRED, Taken, WriteResult
from shardstore.workers.ranges.sequence_spans import RequestNumbers
from shardstore.workers.wal.batch_values import number_of_increment, stored_values
from shardstore.workers.wal.record_format import Record, RecordKind, moment_of_clock, range_of_clear
from shardstore.workers.wal.record_run import Headers, RecordRun

COLLECTED_ENTRIES = 4_096
FEW_RECORDS = 16
"""Up to this many records are collected one by one, as array operations have a higher fixed cost."""
_PUT, _DELETE, _INCREMENT, _BAR = map(int, (RecordKind.PUT, RecordKind.DELETE, RecordKind.INCREMENT, RecordKind.BAR))
_BATCH, _TAKE, _CLEAR = int(RecordKind.BATCH), int(RecordKind.TAKE), int(RecordKind.CLEAR)
_KEYS_FIXED, _VALUES_FIXED = int(Flag.KEYS_FIXED), int(Flag.VALUES_FIXED)


class Replayed(NamedTuple):
    """The LSN from which damaged ranges need the log, None if none does; and the newest segment with records.

    `clock_ms`: the moment that the clock of the worker may have reached, as the log says.
    """

    first_kept: int | None
    newest_segment: int
    clock_ms: int


def replay(ranges: Mapping[int, OwnedRange], runs: Iterable[RecordRun], log_id: int) -> Replayed:
    """Apply the records that no table holds yet to the overlays.

    A segment is logged by one worker all its life. So a segment that is not among the ranges no longer exists, and its
    records are skipped.
    """
    waiting = {
        segment: _Waiting(owned, owned.segment.manifest.checkpoint_of(log_id) if owned.segment else 0)
        for segment, owned in ranges.items()
        if owned.damage is None
    }
    kept: list[int] = []
    newest_segment = clock_ms = 0
    for run in runs:
        ordered = run.by_segment()
        cut = _CutRun(ordered)
        for segment, kind, begin, end in _alike(ordered.headers):
            newest_segment = max(newest_segment, segment)
            of_range = waiting.get(segment)
            if of_range is not None:
                of_range.take(cut, kind, begin, end)
            elif segment in ranges:
                kept.append(int(ordered.headers["lsn"][begin]))
            elif not segment:
                clocks = ordered.pick(slice(begin, end)).records()
                clock_ms = max(clock_ms, *map(moment_of_clock, clocks))
    for of_range in waiting.values():
        of_range.apply()
    return Replayed(min(kept, default=None), newest_segment, clock_ms)


class _CutRun:
    """The records of a run, and the columns of all of them, each cut when it is first asked for."""

    def __init__(self, run: RecordRun) -> None:
        self.run = run

    @cached_property
    def keys(self) -> list[bytes]:
        """The column of keys of each record."""
        return self.run.keys()

    @cached_property
    def values(self) -> list[bytes]:
        """The column of values of each record."""
        return self.run.values()

    @cached_property
    def key_bytes(self) -> list[int]:
        """The size of the keys before each record, and of all."""
        return _sums(self.run.headers["keys_bytes"])

    @cached_property
    def value_bytes(self) -> list[int]:
        """The size of the values before each record, and of all."""
        return _sums(self.run.headers["values_bytes"])


class _Waiting:
    """Records of one range that are not applied yet, in the order of the log: deletes and takes, or puts and batches.

    `_tombstones` counts those among the values; `_may_expire` says whether some expire.
    """

    def __init__(self, owned: OwnedRange, checkpoint: int) -> None:
        self._checkpoint = checkpoint
        self._owned = owned
        self._deletes = False
        self._keys: list[bytes] = []
        self._values: list[Stored] = []
        self._tombstones = 0
        self._may_expire = False
        self._clients: list[RequestNumbers] = []
        self._sequences: list[RequestNumbers] = []
        self._results: list[WriteResult] = []
        self._lsn_first = self._lsn_last = 0
        self._payload_bytes = 0

    def take(self, cut: _CutRun, kind: int, begin: int, end: int) -> None:
        """Collect the records of a run from `begin` to `end` that are above the checkpoint of the range.

        Their LSNs ascend. `kind`: see _kinds_of_single.
        """
        lsns = cut.run.headers["lsn"]
        if lsns[begin] <= self._checkpoint:
            begin += int(np.searchsorted(lsns[begin:end], self._checkpoint, side="right"))
        if kind and end - begin > FEW_RECORDS:
            self._take_single(cut, kind == _DELETE, begin, end)
        else:
            run = cut.run.pick(slice(begin, end))
            for place, record in enumerate(run.records()):
                self._take_any(record, run.headers[place : place + 1])

    def apply(self) -> None:
        """Apply the collected records."""
        if not self._results:
            return
        active = self._owned.overlay.active
        if self._deletes:
            active.delete(self._keys, self._payload_bytes, self._lsn_first)
        elif self._tombstones or self._may_expire:
            counted = self._tombstones, self._may_expire
            active.change(self._keys, self._values, *counted, self._payload_bytes, self._lsn_first)
        else:
            active.put(self._keys, self._values, self._payload_bytes, self._lsn_first)
        clients, sequences = np.concatenate(self._clients), np.concatenate(self._sequences)
        self._owned.dedup.note_all_again(clients, sequences, self._results, self._lsn_last)
        self._keys, self._values, self._tombstones, self._payload_bytes = [], [], 0, 0
        self._may_expire = False
        self._clients, self._sequences, self._results = [], [], []

    def _take_single(self, cut: _CutRun, deletes: bool, begin: int, end: int) -> None:
        """Collect records of one entry each: either puts or deletes."""
        while begin < end:
            self._make_way_for(deletes)
            until = min(end, begin + COLLECTED_ENTRIES - len(self._keys))
            self._keys += cut.keys[begin:until]
            payload_bytes = cut.key_bytes[until] - cut.key_bytes[begin]
            if not deletes:
                self._values += cut.values[begin:until]
                payload_bytes += cut.value_bytes[until] - cut.value_bytes[begin]
            self._note(cut.run.headers[begin:until], payload_bytes, repeat(None, until - begin))
            begin = until

    def _take_any(self, record: Record, header: Headers) -> None:
        """Collect one record of any kind."""
        kind, layout, entries, lsn, *_, keys, values = record
        if kind == _BAR:
            self._note(header, 0, (BARRED,))
            return
        if kind == _CLEAR:
            self.apply()
            self._owned.overlay.clear(range_of_clear(record), lsn)
            self._note(header, 0, (None,))
            return
        if kind == _TAKE:
            self._take_take(record, header)
            return
        self._make_way_for(kind == _DELETE)
        result = bytes(values) if kind == _INCREMENT else None
        try:
            self._keys += decode(keys, bool(layout & _KEYS_FIXED), entries, KEY_BYTES_MIN, KEY_BYTES_MAX)
            if kind == _BATCH or (kind == _INCREMENT and not layout & _VALUES_FIXED):
                stored, may_expire = stored_values(values, bool(layout & _VALUES_FIXED), entries)
                self._values += stored
                self._tombstones += stored.count(TOMBSTONE)
                self._may_expire |= may_expire
                self._payload_bytes += EXPIRING_BYTES * entries * may_expire
                result = number_of_increment(stored) if kind == _INCREMENT else None
            elif kind != _DELETE:
                self._values += decode(values, bool(layout & _VALUES_FIXED), entries, 0, VALUE_BYTES_MAX)
        except InvalidColumn as error:
            raise Corruption(f"log record {lsn}", 0, f"passes its checksum but is no batch: {error}") from None
        self._note(header, len(keys) + len(values), (result,))

    def _take_take(self, record: Record, header: Headers) -> None:
        """Collect a TAKE: the delete of a key that had this value."""
        self._make_way_for(deletes=True)
        taken = Taken(bytes(record.keys), bytes(record.values))
        if record.entries != 1 or not KEY_BYTES_MIN <= len(taken.key) <= KEY_BYTES_MAX:
            raise Corruption(f"log record {record.lsn}", 0, "passes its checksum but takes no entry")
        self._keys.append(taken.key)
        self._note(header, len(taken.key), (taken,))

    def _make_way_for(self, deletes: bool) -> None:
        """Apply what is collected if it is of the other kind, or much."""
        if deletes is not self._deletes or len(self._keys) >= COLLECTED_ENTRIES:
            self.apply()
            self._deletes = deletes

    def _note(self, headers: Headers, payload_bytes: int, results: Iterable[WriteResult]) -> None:
        """Count records as collected."""
        if not self._results:
            self._lsn_first = int(headers["lsn"][0])
        self._lsn_last = int(headers["lsn"][-1])
        self._clients.append(headers["client"])
        self._sequences.append(headers["sequence"])
        self._results += results
        self._payload_bytes += payload_bytes


def _alike(headers: Headers) -> Iterator[tuple[int, int, int, int]]:
    """Segment, kind (see _kinds_of_single), begin and end of each piece of a run that is in the order of segments."""
    if len(headers) == 1:
        yield int(headers["segment"][0]), 0, 0, 1
        return
    segments, kinds = headers["segment"], _kinds_of_single(headers)
    changes = (segments[1:] != segments[:-1]) | (kinds[1:] != kinds[:-1])
    for begin, end in pairwise([0, *(np.flatnonzero(changes) + 1).tolist(), len(headers)]):
        yield int(segments[begin]), int(kinds[begin]), begin, end


def _sums(sizes: npt.NDArray[np.uint32]) -> list[int]:
    """The sum of the sizes before each, and of all."""
    sums: list[int] = [0, *np.cumsum(sizes, dtype=np.int64).tolist()]
    return sums


def _kinds_of_single(headers: Headers) -> npt.NDArray[np.uint8]:
    """PUT or DELETE for each record of a single entry, whose columns are its key and its value; 0 for all others."""
    kinds, layouts, keys_bytes = headers["kind"], headers["layout"], headers["keys_bytes"]
    has_key = (headers["entries"] == 1) & (layouts & _KEYS_FIXED > 0)
    has_key &= (keys_bytes >= KEY_BYTES_MIN) & (keys_bytes <= KEY_BYTES_MAX)
    has_value = (layouts & _VALUES_FIXED > 0) & (headers["values_bytes"] <= VALUE_BYTES_MAX)
    single = has_key & ((kinds == _DELETE) | (kinds == _PUT) & has_value)
    return np.where(single, kinds, np.uint8(0))
