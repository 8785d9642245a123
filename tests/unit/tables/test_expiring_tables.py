"""Tables with values that expire: what is written is read, by every way, and the record counts the moments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import TOMBSTONE, Expiring, Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.segment_options import SegmentOptions
from shardstore.tables.column_items import as_list
from shardstore.tables.counting import count_step, estimated
from shardstore.tables.scan_page import scan_page
from shardstore.tables.table_format import MOMENTS, Entries, Identity, TableRecord, quantiles_of
from shardstore.tables.table_reader import Table
from shardstore.wire.columns import decode, decode_ending
from shardstore.workers.segment.table_writer import write_table
from tests.unit.faulty_filesystem import FaultyFilesystem

STORE = "5" * 32
VALUES = st.sampled_from([b"", b"v", b"eight by", b"x" * 247, b"y" * 256, b"z" * 66_000])
STORED = st.one_of(VALUES, st.just(TOMBSTONE), st.builds(Expiring, st.integers(0, 100), VALUES))
COMPRESSIONS = st.sampled_from(["none", "lz4"])


def written(values: list[Stored], compression: str = "none") -> tuple[Table, list[bytes]]:
    filesystem = FaultyFilesystem()
    filesystem.make_directory("segments/00000001")
    keys = [b"%04d" % number for number in range(len(values))]
    identity = Identity(STORE, 1, 1)
    options = SegmentOptions(block_bytes=1_024, compression=compression)
    record = write_table(filesystem, identity, Entries(keys, values), options=options)
    return Table.open(filesystem, identity, record), keys


@given(st.lists(STORED, min_size=1, max_size=60), COMPRESSIONS, st.integers(0, 100))
def test_what_is_written_is_read(values: list[Stored], compression: str, now_ms: int) -> None:
    table, keys = written(values, compression)
    asked = [*keys, b"none"]
    assert table.get_many(asked) == [*values, None]
    assert [table.get_many([key])[0] for key in keys] == values
    assert as_list(table.entries().values) == values
    moments = [value.moment for value in values if isinstance(value, Expiring)]
    assert (table.record.expiring, table.may_expire) == (len(moments), bool(moments))
    assert table.record.tombstones == values.count(TOMBSTONE)
    expired = len([moment for moment in moments if moment <= now_ms])
    least, most = table.record.expired_within(now_ms)
    assert least <= expired <= most
    living = len(values) - values.count(TOMBSTONE) - expired
    assert count_step([table], EVERYTHING, now_ms).entries == living
    about = estimated([table], EVERYTHING, now_ms)
    assert abs(about.entries - living) <= about.error
    if len(keys) > 1:
        about = estimated([table], KeyRange(keys[0], keys[-1]), now_ms)
        last_lives = values[-1] is not TOMBSTONE and not _has_expired(values[-1], now_ms)
        assert abs(about.entries - (living - last_lives)) <= about.error
    assert table.record.moments == quantiles_of(moments)


def _has_expired(value: Stored, now_ms: int) -> bool:
    return isinstance(value, Expiring) and value.moment <= now_ms


@given(st.lists(STORED, min_size=1, max_size=60), st.integers(0, 100), st.booleans(), st.integers(0, 9))
def test_a_page_with_moments_has_what_a_page_has(values: list[Stored], now_ms: int, reverse: bool, limit: int) -> None:
    table, keys = written(values)
    page = scan_page([table], EVERYTHING, reverse, False, limit, now_ms, moments=True)
    without = scan_page([table], EVERYTHING, reverse, False, limit, now_ms)
    assert (page.keys, page.resume) == (without.keys, without.resume)
    if page.entries:
        by_key = dict(zip(keys, values, strict=True))
        shown = decode(*page.keys, page.entries, 1, 4)
        if page.values.fixed:
            found = decode(*page.values, page.entries, 0, 1 << 20)
        else:
            found = decode_ending(page.values.frame, page.entries, 1 << 20, nullable=False)[0]
        assert found == [by_key[key] for key in shown]


def test_batches_are_read_as_single_keys_are() -> None:
    values: list[Stored] = [Expiring(number, b"%d" % number) if number % 3 else b"plain" for number in range(200)]
    values[7] = TOMBSTONE
    table, keys = written(values)
    assert table.get_many(keys[::-1]) == values[::-1]


def test_files_without_such_values_are_as_before_there_were_any() -> None:
    plain, _ = written([b"value", b"other"])
    assert plain.record == TableRecord(
        1, plain.record.file_bytes, 2, 0, b"0000", b"0001", plain.record.checksum, expiring=0, moments=()
    )
    assert not plain.may_expire


def test_quantiles_are_from_the_first_moment_to_the_last() -> None:
    assert quantiles_of([]) == ()
    assert quantiles_of([9]) == (9,) * MOMENTS
    assert quantiles_of(range(100, -1, -1)) == (0, 25, 50, 75, 100)
    record = TableRecord(1, 0, 101, 0, b"", b"", 0, expiring=101, moments=(0, 25, 50, 75, 100))
    assert [record.expired_by(now_ms) for now_ms in (-1, 0, 50, 99, 100)] == [0, 13, 63, 88, 101]
