"""The middle key halves the bytes of a segment, to about a block."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import KIB
from shardstore.segment_options import SegmentOptions
from shardstore.workers.jobs.specs import AdoptSpec, CompactionKind
from shardstore.workers.segment.middle_key import middle_key
from shardstore.workers.segment.segment import Segment
from shardstore.workers.segment.table_format import TableRecord
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import STORE, JobDriver

BLOCK = 100


def table(number: int, first: int, blocks: int) -> TableRecord:
    """A table with a block for each of consecutive keys."""
    keys = [key_of(first), key_of(first + blocks - 1)]
    return TableRecord(number, blocks * BLOCK, blocks, 0, keys[0], keys[1], 0)


def key_of(number: int) -> bytes:
    return b"%04d" % number


def blocks_of(record: TableRecord) -> list[tuple[bytes, int]]:
    first = int(record.key_first)
    return [(key_of(number), BLOCK) for number in range(first, first + record.entries)]


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 100)), min_size=1, max_size=12))
def test_as_many_bytes_lie_below_as_above(drawn: list[tuple[int, int]]) -> None:
    tables = [table(number, first, blocks) for number, (first, blocks) in enumerate(drawn, 1)]
    blocks = sorted(block for record in tables for block in blocks_of(record))
    middle = middle_key(tables, blocks_of)
    lowest = blocks[0][0]
    half = len(blocks) / 2
    if middle is None:
        assert sum(key == lowest for key, _ in blocks) >= half
        return
    assert lowest < middle <= blocks[-1][0]
    assert sum(key < middle for key, _ in blocks) < half + 1
    assert sum(key <= middle for key, _ in blocks) >= half


def test_only_tables_about_the_middle_are_looked_into() -> None:
    asked: list[int] = []

    def noted(record: TableRecord) -> list[tuple[bytes, int]]:
        asked.append(record.number)
        return blocks_of(record)

    parts = [table(number, 10 * number, 10) for number in range(100)]
    assert middle_key(parts, noted) in (key_of(498), key_of(499), key_of(500))
    assert set(asked) <= {49, 50}


def test_of_nothing_and_of_one_block_there_is_none() -> None:
    assert middle_key([], blocks_of) is None
    assert middle_key([table(1, 5, 1)], blocks_of) is None


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
    worker.run(AdoptSpec(STORE, 2, b"", border, 1, (1,), {}))
    worker.run(AdoptSpec(STORE, 3, border, b"", 1, (1,), {}))
    for segment, key_range in ((1, EVERYTHING), (2, KeyRange(b"", border)), (3, KeyRange(border))):
        opened = Segment.open(worker.filesystem, STORE, segment)
        middle = opened.middle_key()
        assert middle is not None
        weights = [key for key in keys + keys[900:1_100] if key in key_range]
        below = sum(key < middle for key in weights)
        assert abs(below - len(weights) / 2) < 60, "the entries of a block and a half"
