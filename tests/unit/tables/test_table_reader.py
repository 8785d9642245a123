"""Reading tables of every layout: single keys, chunks and pages."""

from __future__ import annotations

import pytest

from shardstore.errors import Corruption
from shardstore.files.file_names import segment_directory
from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import BLOCK_ENTRIES
from shardstore.segment_options import DEFAULTS, Compression, SegmentOptions
from shardstore.tables import block_stretches
from shardstore.tables.blocks import StoredBlocks
from shardstore.tables.cache import SegmentCache
from shardstore.tables.lazy_items import LazyItems
from shardstore.tables.table_format import Identity
from shardstore.tables.table_reader import FEW_KEYS, LayerPage, Table
from shardstore.wire.columns import decode
from tests.unit.table_samples import (
    IDENTITY,
    LAYOUTS,
    STORE,
    absent_from,
    empty_filesystem,
    sample,
    table_of,
    with_deletions,
    write,
)

COUNT = 2 * BLOCK_ENTRIES + 44
LOTS = 1 << 30


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_key_is_found_one_by_one_and_together(layout: str) -> None:
    entries = sample(layout, COUNT)
    table = table_of(entries)
    assert table.get_many(list(entries)) == list(entries.values())
    assert [table.get_many([key])[0] for key in entries] == list(entries.values())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_absent_keys_are_absent_one_by_one_and_together(layout: str) -> None:
    entries = sample(layout, COUNT)
    table = table_of(entries)
    absent = absent_from(entries)
    assert len(absent) > FEW_KEYS
    assert table.get_many(absent) == [None] * len(absent)
    assert [table.get_many([key])[0] for key in absent] == [None] * len(absent)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_strides_are_chosen_from_the_data(layout: str) -> None:
    properties = table_of(sample(layout, COUNT)).properties
    assert (properties.key_stride > 0) == layout.startswith("fixed")
    assert (properties.value_stride > 0) == layout.endswith("fixed")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tombstones_are_no_values_and_not_absent(layout: str) -> None:
    entries = with_deletions(sample(layout, COUNT))
    table = table_of(entries)
    assert table.get_many(list(entries)) == list(entries.values())
    assert table.get_many(list(entries)[:1]) == [TOMBSTONE]
    assert table.properties.tombstones == table.record.tombstones == list(entries.values()).count(TOMBSTONE)
    assert table.page(EVERYTHING, False, 10, LOTS) is None


def test_empty_values_and_empty_looking_values_stay_apart_from_tombstones() -> None:
    entries: dict[bytes, Stored] = {b"a": b"", b"b": TOMBSTONE, b"c": b"\xc0", b"d": b"\0"}
    assert table_of(entries).get_many(list(entries)) == list(entries.values())
    assert table_of({b"a": b"", b"b": b""}).get_many([b"a", b"b", b"c"]) == [b"", b"", None]


def test_batches_with_repeated_and_mixed_keys_keep_their_order() -> None:
    entries = sample("variable-variable", COUNT)
    keys = [*entries][::-1] * 2 + absent_from(entries)
    assert table_of(entries).get_many(keys) == list(map(entries.get, keys))


@pytest.mark.parametrize("length", [255, 256, 65_535, 65_536, DEFAULTS.block_bytes, 300_000])
def test_long_values_come_back_whole(length: int) -> None:
    entries: dict[bytes, Stored] = {b"%03d" % number: bytes([number]) * (length - number % 2) for number in range(20)}
    table = table_of(entries)
    assert table.get_many(list(entries)) == list(entries.values())
    assert list(table.chunk(EVERYTHING, False, 100, LOTS).values) == list(entries.values())


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("entries_max", "bytes_max"), [(100, LOTS), (10_000, 1), (10_000, 20_000), (7, 1), (10_000, LOTS)]
)
def test_chunks_follow_each_other_without_gap(layout: str, reverse: bool, entries_max: int, bytes_max: int) -> None:
    entries = with_deletions(sample(layout, COUNT), 50)
    table = table_of(entries)
    found: list[tuple[bytes, Stored]] = []
    rest = EVERYTHING
    while True:
        chunk = table.chunk(rest, reverse, entries_max, bytes_max)
        assert 1 <= len(chunk.keys) <= entries_max
        piece = list(zip(chunk.keys, chunk.values, strict=True))
        found = piece + found if reverse else found + piece
        if chunk.exhausted:
            break
        rest = KeyRange(b"", chunk.keys[0]) if reverse else KeyRange(chunk.keys[-1] + b"\0", b"")
    assert found == list(entries.items())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("entries_max", "bytes_max"), [(300, LOTS), (LOTS, 9_000), (1, LOTS), (LOTS, LOTS)])
def test_a_page_is_the_encoded_chunk(layout: str, reverse: bool, entries_max: int, bytes_max: int) -> None:
    entries = sample(layout, COUNT)
    keys = list(entries)
    table = table_of(entries)
    for key_range in (EVERYTHING, KeyRange(keys[3], keys[400]), KeyRange(keys[255] + b"\0", keys[256] + b"\0")):
        page = table.page(key_range, reverse, entries_max, bytes_max)
        chunk = table.chunk(key_range, reverse, entries_max, bytes_max)
        assert page is not None
        assert decoded(page) == (list(chunk.keys), list(chunk.values))
        assert list(page.value_items()) == chunk.values
        assert (page.first_key, page.last_key) == (chunk.keys[0], chunk.keys[-1])
        assert page.exhausted == chunk.exhausted


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("reverse", [False, True])
def test_large_values_of_a_page_are_cut_when_they_are_read(
    layout: str, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_stretches, "LAZY_BYTES_MIN", 1)
    entries = sample(layout, COUNT)
    keys = list(entries)
    table = table_of(entries)
    for key_range in (EVERYTHING, KeyRange(keys[3], keys[400]), KeyRange(keys[255] + b"\0", keys[256] + b"\0")):
        page = table.page(key_range, reverse, 300, LOTS)
        assert page is not None
        items = page.value_items()
        assert isinstance(items, LazyItems)
        assert list(items) == table.chunk(key_range, reverse, 300, LOTS).values


def test_values_of_compressed_blocks_are_cut_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_stretches, "LAZY_BYTES_MIN", 1)
    entries = {b"%05d" % number: b"the same" * 9 for number in range(COUNT)}
    page = table_of(entries, SegmentOptions(compression=Compression.ZSTD)).page(EVERYTHING, False, 300, LOTS)
    assert page is not None
    assert page.value_items() == [b"the same" * 9] * 300


def test_bytes_bound_a_page_to_few_blocks() -> None:
    table = table_of(sample("fixed-fixed", 20 * BLOCK_ENTRIES))
    page = table.page(EVERYTHING, False, LOTS, 30_000)
    assert page is not None
    assert page.entries == 5 * BLOCK_ENTRIES
    assert not page.exhausted


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ranges_without_entries_are_exhausted_at_once(layout: str) -> None:
    entries = sample(layout, COUNT)
    table = table_of(entries)
    key = list(entries)[256]
    for key_range in (KeyRange(b"", b"a"), KeyRange(b"z", b""), KeyRange(key + b"\0", key + b"\0\0")):
        chunk = table.chunk(key_range, False, 10, LOTS)
        page = table.page(key_range, True, 10, LOTS)
        assert page is not None
        assert (list(chunk.keys), list(chunk.values), chunk.exhausted) == ([], [], True)
        assert (page.entries, page.exhausted) == (0, True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_columns_for_a_merge_hold_the_range(layout: str) -> None:
    entries = with_deletions(sample(layout, COUNT), 60)
    table = table_of(entries)
    keys, values = table.entries(KeyRange(list(entries)[100], list(entries)[300]))
    assert [bytes(key) for key in keys] == list(entries)[100:300]
    assert list(values) == list(entries.values())[100:300]
    assert len(table.entries().keys) == COUNT


@pytest.mark.fault("G8")
def test_reading_goes_on_after_the_file_was_removed() -> None:
    filesystem = empty_filesystem()
    entries = sample("fixed-fixed", COUNT)
    table = Table.open(filesystem, IDENTITY, write(filesystem, entries))
    filesystem.remove(IDENTITY.path)
    assert table.get_many(list(entries)) == list(entries.values())


@pytest.mark.fault("G4")
def test_a_missing_file_is_damage_that_names_the_file() -> None:
    filesystem = empty_filesystem()
    record = write(filesystem, sample("fixed-fixed", 3))
    filesystem.remove(IDENTITY.path)
    with pytest.raises(Corruption, match="no such file") as error:
        Table.open(filesystem, IDENTITY, record)
    assert error.value.file == IDENTITY.path


@pytest.mark.parametrize(
    ("other", "what"),
    [(Identity("another store", 7, 1), "store"), (Identity(STORE, 8, 1), "segment"), (Identity(STORE, 7, 2), "number")],
)
def test_a_table_of_another_place_is_refused(other: Identity, what: str) -> None:
    filesystem = empty_filesystem()
    filesystem.make_directory(segment_directory(8))
    record = write(filesystem, sample("fixed-fixed", 3), other)
    filesystem.place(IDENTITY.path, filesystem.content(other.path))
    with pytest.raises(Corruption, match=what) as error:
        Table.open(filesystem, IDENTITY, record)
    assert (error.value.file, error.value.offset) == (IDENTITY.path, 0)


@pytest.mark.fault("G4")
def test_another_table_of_the_same_name_and_size_is_refused() -> None:
    filesystem = empty_filesystem()
    record = write(filesystem, {b"a": b"1"})
    filesystem.remove(IDENTITY.path)
    write(filesystem, {b"a": b"2"})
    with pytest.raises(Corruption, match="not the one the manifest names"):
        Table.open(filesystem, IDENTITY, record)


@pytest.mark.parametrize("together", [False, True])
def test_blocks_are_verified_once_for_all_readers_of_a_file(together: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = sample("fixed-fixed", COUNT)
    table = table_of(entries, SegmentOptions(compression=Compression.NONE))
    verified: list[int] = []
    plain = StoredBlocks.verified
    monkeypatch.setattr(
        StoredBlocks, "verified", lambda blocks, block: (verified.append(block), plain(blocks, block))[1]
    )
    for reader in (table, table.apart(SegmentCache()), table):
        if together:
            assert reader.get_many([*entries]) == [*entries.values()]
        else:
            assert reader.chunk(EVERYTHING, False, LOTS, LOTS).values == [*entries.values()]
    assert sorted(verified) == [*range(len(table.blocks()))]


def decoded(page: LayerPage) -> tuple[list[bytes], list[bytes]]:
    keys = decode(page.keys.frame, page.keys.fixed, page.entries, 1, LOTS)
    return keys, decode(*page.values(), page.entries, 0, LOTS)
