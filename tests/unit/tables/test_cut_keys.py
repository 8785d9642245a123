"""The cut keys divide the bytes of a range, accurate to about a block."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import KIB
from shardstore.segment_options import SegmentOptions
from shardstore.tables.cut_keys import cut_keys
from shardstore.tables.segment import Segment
from shardstore.tables.table_format import TableRecord
from shardstore.workers.jobs.specs import CompactionKind, MaterialiseSpec
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import STORE, JobDriver

BLOCK = 100


def table(number: int, first: int, blocks: int) -> TableRecord:
    """A table of consecutive keys with a block for each."""
    keys = [key_of(first), key_of(first + blocks - 1)]
    return TableRecord(number, blocks * BLOCK, blocks, 0, keys[0], keys[1], 0)


def key_of(number: int) -> bytes:
    return b"%04d" % number


def blocks_of(record: TableRecord) -> list[tuple[bytes, int]]:
    first = int(record.key_first)
    return [(key_of(number), BLOCK) for number in range(first, first + record.entries)]


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 100)), max_size=12),
    st.lists(st.tuples(st.integers(0, 600), st.integers(1, 3 * BLOCK)), max_size=40),
    st.integers(2, 16),
)
def test_each_piece_has_its_share_of_the_bytes(
    drawn: list[tuple[int, int]], marked: list[tuple[int, int]], pieces: int
) -> None:
    tables = [table(number, first, blocks) for number, (first, blocks) in enumerate(drawn, 1)]
    sampled = [(key_of(number), size) for number, size in marked]
    weighed = sorted([*(block for record in tables for block in blocks_of(record)), *sampled])
    cuts = cut_keys(tables, blocks_of, sampled, pieces)
    assert cuts == sorted(set(cuts))
    assert len(cuts) < pieces
    total = sum(size for _, size in weighed)
    largest: Counter[bytes] = Counter()
    for key, size in weighed:
        largest[key] += size
    for low, high in pairwise([b"", *cuts, b"z"]):
        piece = sum(size for key, size in weighed if low <= key < high)
        assert piece <= total / pieces + 2 * max(largest.values(), default=0)
    assert all(weighed[0][0] < cut <= weighed[-1][0] for cut in cuts)


def test_only_tables_about_a_cut_are_looked_into() -> None:
    asked: list[int] = []

    def noted(record: TableRecord) -> list[tuple[bytes, int]]:
        asked.append(record.number)
        return blocks_of(record)

    tables = [table(number, 10 * number, 10) for number in range(100)]
    assert cut_keys(tables, noted, (), 2)[0] in (key_of(498), key_of(499), key_of(500))
    assert set(asked) <= {49, 50}


def test_marks_tell_where_the_bytes_are_that_are_in_no_table() -> None:
    sampled = [(key_of(number), BLOCK) for number in range(100)]
    assert cut_keys([], blocks_of, sampled, 4) == [key_of(25), key_of(50), key_of(75)]
    below = [(key_of(number), BLOCK) for number in range(10)]
    assert cut_keys([table(1, 100, 10)], blocks_of, below, 2) == [key_of(100)]


def test_of_nothing_and_of_one_key_there_are_none() -> None:
    assert cut_keys([], blocks_of, (), 16) == []
    assert cut_keys([table(1, 5, 1)], blocks_of, (), 16) == []
    assert cut_keys([], blocks_of, [(b"k", 1)] * 5, 16) == []


def test_of_a_segment_with_virtual_parts_only_their_shares_are_halved() -> None:
    options = SegmentOptions(block_bytes=KIB, part_min_bytes=KIB, part_max_bytes=20 * KIB)
    worker = JobDriver(FaultyFilesystem(), segments=(1,), options=options)
    keys = [b"key-%04d" % number for number in range(2_000)]
    worker.put(1, dict.fromkeys(keys, b"v" * 20))
    worker.drain()
    worker.compact(1, CompactionKind.DELTAS)
    worker.put(1, dict.fromkeys(keys[900:1_100], b"w" * 20))
    worker.drain()
    border = keys[1_234]
    worker.run(MaterialiseSpec(STORE, 2, b"", border, 1, (1,), {}))
    worker.run(MaterialiseSpec(STORE, 3, border, b"", 1, (1,), {}))
    for segment, key_range in ((1, EVERYTHING), (2, KeyRange(b"", border)), (3, KeyRange(border))):
        opened = Segment.open(worker.filesystem, STORE, segment)
        (middle,) = opened.cut_keys((), 2)
        weights = [key for key in keys + keys[900:1_100] if key in key_range]
        below = sum(key < middle for key in weights)
        assert abs(below - len(weights) / 2) < 60, "the entries of a block and a half"
