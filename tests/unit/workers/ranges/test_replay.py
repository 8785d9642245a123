"""Replay: records that are collected and applied together leave what they leave one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.errors import Corruption
from shardstore.identifiers import TOMBSTONE, RequestId
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.wire.columns import encode, encode_variable
from shardstore.wire.wire_format import Flag
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.ranges import dedup as dedup_module
from shardstore.workers.ranges import replay as replay_module
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.replay import Replayed, replay
from shardstore.workers.ranges.results import BARRED, Taken
from shardstore.workers.wal.record_format import RecordKind, encode_record_header
from shardstore.workers.wal.record_run import RecordRun, run_at

LOG_ID = 77
SEGMENTS = (1, 2, 3)
DAMAGED, GONE = 4, 9
CHECKPOINTS = {1: 0, 2: 10, 3: 0}


class Write(NamedTuple):
    """The content of a record. A DELETE has no values, a BAR neither keys nor values; None in a BATCH deletes.

    A CLEAR has the bounds of a range.
    """

    kind: RecordKind
    segment: int
    client: int
    keys: list[bytes]
    values: list[Any]
    variable: bool = False


@st.composite
def writes(draw: st.DrawFn) -> Write:
    kind = draw(
        st.sampled_from(
            [RecordKind.PUT] * 6
            + [RecordKind.DELETE] * 3
            + [RecordKind.INCREMENT, RecordKind.BAR, RecordKind.BATCH]
            + [RecordKind.TAKE] * 2
            + [RecordKind.CLEAR] * 2
        )
    )
    most = {RecordKind.INCREMENT: 1, RecordKind.TAKE: 1, RecordKind.BAR: 0, RecordKind.CLEAR: 0}.get(kind, 3)
    count = draw(st.sampled_from([0, 1, 1, 1, 1, 2, 3])) if most > 1 else most
    keys = [b"key-%d" % draw(st.integers(0, 20)) for _ in range(max(count, min(1, most)))]
    values = [] if kind in (RecordKind.DELETE, RecordKind.BAR) else [b"%d" % draw(st.integers(0, 200)) for _ in keys]
    if kind == RecordKind.BATCH:
        values = [None if draw(st.booleans()) else value for value in values]
    if kind == RecordKind.CLEAR:
        start = draw(st.integers(0, 20))
        keys, values = [b"key-%d" % start], [b"key-%d" % start + b"0" * draw(st.integers(1, 3))]
    segment = draw(st.sampled_from([*SEGMENTS, *SEGMENTS, *SEGMENTS, DAMAGED, GONE]))
    variable = kind != RecordKind.TAKE and draw(st.booleans())
    return Write(kind, segment, draw(st.integers(1, 3)), keys, values, variable)


def columns_of(write: Write) -> tuple[int, bytes, bytes]:
    """Layout, keys and values of the record."""
    if write.kind == RecordKind.CLEAR:
        return 0, write.keys[0], write.values[0]
    layout, frames = 0, []
    for items, flag in ((write.keys, Flag.KEYS_FIXED), (write.values, Flag.VALUES_FIXED)):
        if items and write.variable:
            frames.append(encode_variable(items))
        elif items:
            column = encode(items)
            layout |= int(flag) * column.fixed
            frames.append(column.frame)
        else:
            frames.append(b"")
    return layout, frames[0], frames[1]


def log_of(written: Sequence[Write], run_bytes: int = 600) -> list[RecordRun]:
    """The records of these writes, in short runs."""
    content, sequences = bytearray(), dict.fromkeys(range(1, 4), 0)
    for lsn, write in enumerate(written, 1):
        layout, keys, values = columns_of(write)
        sequences[write.client] += 1 + lsn % 2
        request = RequestId(write.client, sequences[write.client])
        entries = len(write.keys) if write.kind != RecordKind.CLEAR else 0
        content += encode_record_header(
            LOG_ID, write.kind, layout, entries, lsn, 0, write.segment, 1, request, keys, values
        )
        content += keys + values
    runs, offset = [], 0
    while offset < len(content):
        run, offset = run_at(memoryview(bytes(content)), offset, LOG_ID, run_bytes)
        runs.append(run)
    return runs


def ranges_with(checkpoints: dict[int, int]) -> dict[int, OwnedRange]:
    ranges = {}
    for segment, checkpoint in checkpoints.items():
        stored: Any = SimpleNamespace(manifest=SimpleNamespace(checkpoint_of=lambda _, lsn=checkpoint: lsn))
        ranges[segment] = OwnedRange(segment, EVERYTHING, 1, stored if checkpoint else None, DedupWindow())
    ranges[DAMAGED] = OwnedRange(DAMAGED, EVERYTHING, 1, None, DedupWindow(), Corruption("MANIFEST", 0, "bad"))
    return ranges


class OneByOne:
    """A range whose records are collected and applied one after the other, without arrays."""

    def __init__(self, collected_entries: int) -> None:
        self.layer, self.window = ActiveLayer(), DedupWindow()
        self._collected_entries = collected_entries
        self._deletes, self._payload_bytes, self._lsn_first = False, 0, 0
        self._keys: list[bytes] = []
        self._values: list[Any] = []

    def take(self, write: Write, lsn: int, request: RequestId) -> None:
        if write.kind == RecordKind.CLEAR:
            self.apply()
            self.layer.clear(KeyRange(write.keys[0], write.values[0]), lsn)
            self.window.note_again(request, lsn, None)
            return
        deletes = write.kind in (RecordKind.DELETE, RecordKind.TAKE)
        if write.kind != RecordKind.BAR and (
            deletes is not self._deletes or len(self._keys) >= self._collected_entries
        ):
            self.apply()
            self._deletes = deletes
        _, keys, values = columns_of(write)
        self._lsn_first = self._lsn_first or lsn
        self._keys += write.keys
        self._values += [TOMBSTONE if value is None else value for value in write.values if not deletes]
        self._payload_bytes += len(keys) + (0 if deletes else len(values))
        taken = Taken(keys, values)
        number = b"".join(filter(None, write.values))
        results = {RecordKind.BAR: BARRED, RecordKind.INCREMENT: number, RecordKind.TAKE: taken}
        result: Any = results.get(write.kind)
        self.window.note_again(request, lsn, result)

    def apply(self) -> None:
        if self._lsn_first and self._deletes:
            self.layer.delete(self._keys, self._payload_bytes, self._lsn_first)
        elif self._lsn_first:
            self.layer.put(self._keys, self._values, self._payload_bytes, self._lsn_first)
            self.layer.deletes += self._values.count(TOMBSTONE)
        self._keys, self._values, self._payload_bytes, self._lsn_first = [], [], 0, 0


def state_of(layer: ActiveLayer, window: DedupWindow) -> dict[str, Any]:
    """All that a replay leaves."""
    layer.check_invariants()
    window.check_invariants()
    return {
        "entries": list(layer.entries.items()),
        "lsn_first": layer.lsn_first,
        "size_bytes": layer.size_bytes,
        "deletes": layer.deletes,
        "cleared": layer.cleared,
        "sample": (layer.key_sample.keys, layer.key_sample.step_bytes),
        "window": window.to_document(0),
        "window_bytes": window.size_bytes,
    }


def one_by_one(written: Sequence[Write], runs: Sequence[RecordRun], collected_entries: int) -> dict[int, OneByOne]:
    ranges = {segment: OneByOne(collected_entries) for segment in SEGMENTS}
    records = [record for run in runs for record in run.records()]
    for write, record in zip(written, records, strict=True):
        if write.segment in ranges and record.lsn > CHECKPOINTS[write.segment]:
            ranges[write.segment].take(write, record.lsn, RequestId(record.client, record.sequence))
    for each in ranges.values():
        each.apply()
    return ranges


@given(
    written=st.lists(writes(), max_size=60),
    run_bytes=st.sampled_from([200, 900, 1 << 20]),
    collected_entries=st.sampled_from([1, 3, 4_096]),
    few_records=st.sampled_from([0, 3, 16]),
    many=st.sampled_from([1, 16]),
)
def test_replay_leaves_what_the_records_leave_one_after_the_other(
    written: list[Write], run_bytes: int, collected_entries: int, few_records: int, many: int
) -> None:
    runs = log_of(written, run_bytes)
    ranges = ranges_with(CHECKPOINTS)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(replay_module, "FEW_RECORDS", few_records)
        patched.setattr(replay_module, "COLLECTED_ENTRIES", collected_entries)
        patched.setattr(dedup_module, "MANY", many)
        replayed = replay(ranges, runs, LOG_ID)
    expected = one_by_one(written, runs, collected_entries)
    for segment, each in expected.items():
        owned = ranges[segment]
        assert state_of(owned.overlay.active, owned.dedup) == state_of(each.layer, each.window)
    kept = [lsn for lsn, write in enumerate(written, 1) if write.segment == DAMAGED]
    assert replayed == Replayed(min(kept, default=None), max([write.segment for write in written], default=0), 0)


def test_records_in_tables_are_passed_over_within_a_run() -> None:
    written = [Write(RecordKind.PUT, 2, 1, [b"k%02d" % lsn], [b"v"]) for lsn in range(1, 41)]
    ranges = ranges_with({2: 25})
    replay(ranges, log_of(written, 1 << 20), LOG_ID)
    assert list(ranges[2].overlay.active.entries) == [b"k%02d" % lsn for lsn in range(26, 41)]
    assert ranges[2].overlay.active.lsn_first == 26


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("key", [b"", bytes(5_000)])
def test_a_single_key_that_is_none_is_damage(key: bytes, count: int) -> None:
    written = [Write(RecordKind.PUT, 1, 1, [b"fine"], [b"v"])] * count + [Write(RecordKind.PUT, 1, 1, [key], [b"v"])]
    with pytest.raises(Corruption, match="is no batch") as caught:
        replay(ranges_with({1: 0}), log_of(written, 1 << 20), LOG_ID)
    assert caught.value.file == f"log record {count + 1}"
