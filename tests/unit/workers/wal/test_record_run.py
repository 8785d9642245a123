"""Runs of records: the same records as one after the other, up to the first that is not sound."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import RequestId
from shardstore.workers.wal.record_format import (
    RECORD_HEADER_BYTES,
    RECORD_MAGIC,
    DamagedRecord,
    Record,
    RecordKind,
    encode_record_header,
    log_record_at,
)
from shardstore.workers.wal.record_run import RUN_BYTES_MAX, RecordRun, known_run_at, run_at

LOG_ID = 2**64 - 5


def encoded(
    lsn: int, keys: bytes = b"key", values: bytes = b"value", segment: int = 1, kind: RecordKind = RecordKind.PUT
) -> bytes:
    request = RequestId(2**64 - 1, lsn)
    return encode_record_header(LOG_ID, kind, 3, 1, lsn, lsn // 2, segment, 1, request, keys, values) + keys + values


def one_by_one(content: bytes, offset: int) -> Iterator[tuple[int, Record]]:
    """Offset and content of each record up to the first place where the next one is not."""
    lsn = None
    while offset < len(content):
        try:
            record = log_record_at(memoryview(content), offset, LOG_ID)
        except DamagedRecord:
            return
        if lsn is not None and record.lsn != lsn + 1:
            return
        lsn = record.lsn
        yield offset, record
        offset += record.size


def in_runs(content: bytes, bytes_max: int) -> Iterator[tuple[int, RecordRun, int]]:
    """Offset, content and end of each run, likewise."""
    offset = 0
    lsn = None
    while offset < len(content):
        try:
            run, end = run_at(memoryview(content), offset, LOG_ID, bytes_max)
        except DamagedRecord:
            return
        if lsn is not None and run.lsn_first != lsn + 1:
            return
        lsn = run.lsn_last
        yield offset, run, end
        offset = end


PIECES = st.one_of(st.binary(max_size=40), st.sampled_from([RECORD_MAGIC, RECORD_MAGIC * 30, encoded(1), encoded(9)]))
PAYLOADS = st.lists(PIECES, max_size=3).map(b"".join)
RECORDS = st.tuples(st.sampled_from(RecordKind), st.integers(1, 4), PAYLOADS, PAYLOADS)
JUMPS = st.sampled_from([1, 1, 1, 1, 1, 1, 1, 1, 2, 0])


@given(
    records=st.lists(st.tuples(RECORDS, JUMPS), max_size=30),
    bytes_max=st.sampled_from([1, 100, 300, 1_000, 4_000, RUN_BYTES_MAX]),
    behind=PAYLOADS,
    damage=st.none() | st.tuples(st.integers(0), st.integers(0, 7)),
)
def test_runs_are_the_records_one_by_one(
    records: list[tuple[tuple[RecordKind, int, bytes, bytes], int]],
    bytes_max: int,
    behind: bytes,
    damage: tuple[int, int] | None,
) -> None:
    lsn, content = 5, bytearray()
    for (kind, segment, keys, values), jump in records:
        content += encoded(lsn, keys, values, segment, kind)
        lsn += jump
    content += behind
    if damage is not None and content:
        content[damage[0] % len(content)] ^= 1 << damage[1]
    expected = list(one_by_one(bytes(content), 0))
    runs = list(in_runs(bytes(content), bytes_max))
    assert [record for _, run, _ in runs for record in run.records()] == [record for _, record in expected]
    offset_of = {record.lsn: offset for offset, record in expected}
    for offset, run, end in runs:
        assert run.lsn_durable == max(record.lsn_durable for record in run.records())
        for record in run.records():
            assert offset + run.size_before(record.lsn) == offset_of[record.lsn]
        assert run.payload_bytes == sum(len(record.keys) + len(record.values) for record in run.records())
        assert end == offset_of[run.lsn_last] + list(run.records())[-1].size
        assert len(run) == 1 or end - offset <= bytes_max


@given(records=st.lists(st.tuples(RECORDS, st.sampled_from([0, 0, 0, 5_000, RUN_BYTES_MAX // 2])), max_size=12))
def test_runs_of_verified_records_are_the_records_one_by_one(
    records: list[tuple[tuple[RecordKind, int, bytes, bytes], int]],
) -> None:
    content = b"".join(
        encoded(lsn, keys, values + bytes(more), segment, kind)
        for lsn, ((kind, segment, keys, values), more) in enumerate(records, 1)
    )
    offset, found = 0, []
    while offset < len(content):
        run, end = known_run_at(memoryview(content), offset)
        assert len(run) == 1 or end - offset <= RUN_BYTES_MAX
        assert run.file_bytes == end - offset
        assert [run.keys(), run.values()] == [[bytes(each[at]) for each in run.records()] for at in (-2, -1)]
        found += run.records()
        offset = end
    assert found == [record for _, record in one_by_one(content, 0)]


def test_a_run_has_as_many_records_as_fit() -> None:
    records = [encoded(lsn, b"key-%d" % lsn, RECORD_MAGIC + b"value") for lsn in range(1, 1_001)]
    content = memoryview(b"".join(records))
    assert len(run_at(content, 0, LOG_ID)[0]) == 1_000
    size = sum(map(len, records[:100]))
    assert [len(run_at(content, 0, LOG_ID, size + more)[0]) for more in (-1, 0, 1)] == [99, 100, 100]


def test_a_record_that_is_longer_than_a_run_is_a_run() -> None:
    content = encoded(1) + encoded(2, values=bytes(RUN_BYTES_MAX)) + encoded(3)
    assert [(len(run), run.lsn_first) for _, run, _ in in_runs(content, RUN_BYTES_MAX)] == [(1, 1), (1, 2), (1, 3)]


def test_what_is_no_record_is_refused_with_the_reason() -> None:
    content = bytearray(encoded(1))
    content[RECORD_HEADER_BYTES] ^= 1
    with pytest.raises(DamagedRecord, match="checksum of the payload"):
        run_at(memoryview(content), 0, LOG_ID)
    with pytest.raises(DamagedRecord, match="magic"):
        run_at(memoryview(b"x" + encoded(1)), 0, LOG_ID)
    with pytest.raises(DamagedRecord, match="inside a record header"):
        run_at(memoryview(encoded(1)), len(encoded(1)), LOG_ID)
    with pytest.raises(DamagedRecord, match="header does not match"):
        run_at(memoryview(encoded(1)), 0, LOG_ID + 1)


def test_records_of_each_segment_stay_in_order() -> None:
    segments = [7, 3, 7, 2**32 - 1, 3, 7]
    content = b"".join(encoded(lsn, b"%d" % lsn, segment=segment) for lsn, segment in zip(count(1), segments))
    run, _ = run_at(memoryview(content), 0, LOG_ID)
    records = run.by_segment().records()
    assert [(record.segment, bytes(record.keys)) for record in records] == [
        *((3, b"2"), (3, b"5")),
        *((7, b"1"), (7, b"3"), (7, b"6")),
        (2**32 - 1, b"4"),
    ]
