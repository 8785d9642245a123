"""Virtual parts return what lies within their bounds, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.errors import Corruption
from shardstore.files.file_names import segment_directory, table_file
from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import KIB
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.tables.column_items import as_list
from shardstore.tables.open_tables import OpenTables
from shardstore.tables.table_format import TableRecord
from shardstore.tables.table_reader import FEW_KEYS, Table
from shardstore.tables.virtual_part import VirtualPart
from shardstore.wire.columns import decode
from shardstore.workers.jobs.clipped_record import clipped
from shardstore.workers.segment.tombstones import may_hold
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import job_result
from tests.unit.layer_reading import content_of
from tests.unit.table_samples import (
    IDENTITY,
    LAYOUTS,
    STORE,
    absent_from,
    empty_filesystem,
    sample,
    with_deletions,
    write,
)

CHILD = 9
LOTS = 1 << 30
COUNT = 200


class Linked:
    """A table of IDENTITY, and the same file as table 5 of another segment, within bounds."""

    def __init__(self, entries: dict[bytes, Stored], compression: Compression = Compression.NONE) -> None:
        self.entries = entries
        self.filesystem: FaultyFilesystem = empty_filesystem()
        options = SegmentOptions(block_bytes=KIB, compression=compression)
        self.record = write(self.filesystem, entries, IDENTITY, options)
        self.filesystem.make_directory(segment_directory(CHILD))
        self.filesystem.link(IDENTITY.path, table_file(CHILD, 5))

    def clipped(self, key_range: KeyRange) -> TableRecord | None:
        tables = OpenTables(self.filesystem, STORE, IDENTITY.segment)
        found = job_result(clipped(self.record, key_range, tables))
        return found and replace(found, number=5, origin_segment=IDENTITY.segment, origin_number=IDENTITY.number)

    def table(self, key_range: KeyRange) -> Table | None:
        record = self.clipped(key_range)
        return OpenTables(self.filesystem, STORE, CHILD).table(record) if record else None

    def within(self, key_range: KeyRange) -> dict[bytes, Stored]:
        return {key: value for key, value in self.entries.items() if key in key_range}


SAMPLES = {layout: Linked(with_deletions(sample(layout, COUNT), 5)) for layout in LAYOUTS}
SAMPLES |= {f"{layout}, none deleted": Linked(sample(layout, COUNT)) for layout in LAYOUTS}
SAMPLES["compressed"] = Linked(with_deletions(sample("variable-variable", COUNT), 7), Compression.ZSTD)
KEYS = [b"key-%08d" % number for number in range(-3, 2 * COUNT + 3)]


@st.composite
def ranges(draw: st.DrawFn) -> KeyRange:
    start, end = sorted((draw(st.sampled_from([b"", *KEYS])), draw(st.sampled_from(KEYS))))
    return KeyRange(start, end) if start < end else KeyRange(start)


@given(name=st.sampled_from(sorted(SAMPLES)), bounds=ranges(), wanted=ranges())
def test_it_answers_as_a_table_of_what_lies_within(name: str, bounds: KeyRange, wanted: KeyRange) -> None:
    linked = SAMPLES[name]
    within = linked.within(bounds)
    table = linked.table(bounds)
    if table is None:
        assert not within
        return
    asked = [*linked.entries, *absent_from(linked.entries)]
    expected = list(map(within.get, asked))
    assert table.get_many(asked) == expected
    assert [table.get_many([key])[0] for key in asked[::50]] == expected[::50]
    assert content_of(table) == within
    assert as_list(table.entries(EVERYTHING).keys) == list(within)
    both = {key: value for key, value in within.items() if key in wanted}
    assert table.count(wanted) == len(both)
    for reverse in (False, True):
        near = dict(list(both.items())[-30:] if reverse else list(both.items())[:30])
        chunk = table.chunk(wanted, reverse, 30, LOTS)
        assert dict(zip(chunk.keys, chunk.values, strict=True)) == near
        assert chunk.exhausted == (len(near) == len(both))
        page = table.page(wanted, reverse, 30, LOTS)
        assert (page is None) == (TOMBSTONE in within.values())
        if page is not None:
            keys = decode(page.keys.frame, page.keys.fixed, page.entries, 1, 100) if page.entries else []
            assert (keys, page.exhausted) == (list(near), chunk.exhausted)


@given(name=st.sampled_from(sorted(SAMPLES)), bounds=ranges(), narrower=ranges())
def test_the_record_tells_what_lies_within(name: str, bounds: KeyRange, narrower: KeyRange) -> None:
    linked = SAMPLES[name]
    within, record = linked.within(bounds), linked.clipped(bounds)
    if not within:
        assert record is None
        return
    assert record is not None
    keys, values = list(within), list(within.values())
    assert (record.key_first, record.key_last, record.entries) == (keys[0], keys[-1], len(keys))
    assert record.tombstones == values.count(TOMBSTONE)
    assert record.is_virtual == (len(within) < len(linked.entries))
    assert (record.file_bytes, record.checksum) == (linked.record.file_bytes, linked.record.checksum)
    assert record.share_bytes + record.outside_bytes == record.file_bytes
    assert record.share_bytes == record.file_bytes * len(keys) // len(linked.entries)
    tables = OpenTables(linked.filesystem, STORE, CHILD)
    again = job_result(clipped(record, narrower, tables))
    both = {key: value for key, value in within.items() if key in narrower}
    assert (again is None) == (not both)
    if again is not None:
        assert content_of(OpenTables(linked.filesystem, STORE, CHILD).table(again)) == both
        assert again.tombstones == list(both.values()).count(TOMBSTONE)
        assert again.share_bytes == again.file_bytes * len(both) // len(linked.entries)


def test_blocks_begin_and_end_with_the_part() -> None:
    linked = SAMPLES["fixed-fixed"]
    keys = list(linked.entries)
    table = linked.table(KeyRange(keys[51], keys[150]))
    assert isinstance(table, VirtualPart)
    blocks = table.blocks()
    assert blocks[0].first_key == keys[51]
    assert all(keys[51] <= block.first_key < keys[150] for block in blocks)
    share = table.record.share_bytes
    assert share - len(blocks) < sum(block.file_bytes for block in blocks) <= share


def test_a_whole_file_within_the_range_has_no_bounds_and_is_not_opened() -> None:
    linked = SAMPLES["fixed-variable"]
    linked.filesystem.trace.clear()
    record = linked.clipped(KeyRange(b"a", b"z"))
    assert record is not None
    assert record.is_linked
    assert not record.is_virtual
    assert linked.clipped(KeyRange(b"z")) is None
    assert linked.clipped(KeyRange(b"", b"a")) is None
    assert linked.filesystem.trace == []


def test_keys_beyond_the_bounds_keep_no_tombstone() -> None:
    linked = SAMPLES["fixed-fixed"]
    keys = list(linked.entries)
    table = linked.table(KeyRange(keys[50], keys[100]))
    assert table is not None
    assert may_hold([table], keys).tolist() == [50 <= place < 100 for place in range(COUNT)]


@pytest.mark.parametrize("bounds", [EVERYTHING, KeyRange(b"key-00000101")])
def test_a_file_that_is_another_than_the_record_says_is_refused_under_the_name_it_was_read(bounds: KeyRange) -> None:
    linked = SAMPLES["fixed-fixed"]
    record = linked.clipped(bounds)
    assert record is not None
    assert record.is_virtual == bool(bounds.start)
    for wrong, what in (
        (replace(record, origin_segment=8), "segment is 7 instead of 8"),
        (replace(record, origin_number=2), "number is 1 instead of 2"),
        (replace(record, origin_segment=0, origin_number=0), "segment is 7 instead of 9"),
        (replace(record, checksum=1), "footer"),
        (replace(record, file_bytes=record.file_bytes - 1), "ends here"),
        (replace(record, number=6), "no such file"),
    ):
        with pytest.raises(Corruption, match=what) as error:
            OpenTables(linked.filesystem, STORE, CHILD).table(wrong)
        assert error.value.file == table_file(CHILD, wrong.number)


def test_damage_within_the_bounds_is_found_under_the_name_it_was_read() -> None:
    linked = Linked(sample("fixed-fixed", COUNT))
    keys = list(linked.entries)
    table = linked.table(KeyRange(keys[100]))
    assert table is not None
    content = bytearray(linked.filesystem.content(table_file(CHILD, 5)))
    content[content.index(keys[150])] ^= 1
    linked.filesystem.place(table_file(CHILD, 5), bytes(content))
    table = OpenTables(linked.filesystem, STORE, CHILD).table(table.record)
    for asked in ([keys[150]], keys[100:], keys[150 - FEW_KEYS : 151]):
        with pytest.raises(Corruption, match="checksum of block") as error:
            table.get_many(asked)
        assert error.value.file == table_file(CHILD, 5)
