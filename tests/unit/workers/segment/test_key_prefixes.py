"""Prefixes stored once per block: when they are, their layout in the file, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.errors import Corruption
from shardstore.files.formats import TABLE
from shardstore.identifiers import Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import BLOCK_ENTRIES
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.tables.table_format import HEADER_BYTES, check_header, decode_footer
from shardstore.tables.table_reader import Table
from shardstore.wire.columns import decode
from shardstore.workers.inspection.table import inspect_table
from shardstore.workers.segment import table_writer
from shardstore.workers.segment.column_writer import encode_fixed_items, encode_variable_items
from shardstore.workers.segment.key_prefixes import prefix_worth_storing, shared_bytes, stored_behind_prefix
from tests.unit.table_samples import (
    IDENTITY,
    LAYOUTS,
    PREFIX,
    PREFIXED_LAYOUTS,
    empty_filesystem,
    prefix_bytes_of,
    sample,
    table_of,
    write,
)

LOTS = 1 << 30
few_letters = st.lists(st.sampled_from(b"\0a\xff"), max_size=12).map(bytes)


@given(few_letters, few_letters)
def test_shared_bytes_are_those_up_to_the_first_difference(first: bytes, last: bytes) -> None:
    shared = shared_bytes(first, last)
    assert first[:shared] == last[:shared]
    assert shared == min(len(first), len(last)) or first[shared] != last[shared]


def test_a_prefix_is_stored_when_it_saves_a_quarter_of_the_block() -> None:
    assert prefix_worth_storing(b"prefix-a", b"prefix-b", 5, 4 * 7 * 4) == 7
    assert prefix_worth_storing(b"prefix-a", b"prefix-b", 5, 4 * 7 * 4 + 1) == 0
    assert prefix_worth_storing(b"prefix-a", b"another", 5, 1) == 0


def test_the_only_key_of_a_block_is_stored_whole() -> None:
    assert prefix_worth_storing(b"alone", b"alone", 1, 5) == 0


def test_items_behind_a_prefix() -> None:
    keys = [b"same-1", b"same-2", b"same-3"]
    assert stored_behind_prefix(keys, encode_fixed_items(keys, 6).block(0, 3), 5) == (b"same-123", b"")
    keys = [b"same", b"same-22", b"same-3"]
    items, offsets = stored_behind_prefix(keys, encode_variable_items(keys).block(0, 3), 4)
    assert items == b"same" + b"\xc4\0" + b"\xc4\3-22" + b"\xc4\2-3"
    assert np.frombuffer(offsets, "<u4").tolist() == [0, 2, 7, 11]


def test_a_block_begins_with_its_prefix() -> None:
    filesystem = empty_filesystem()
    write(filesystem, {b"same-1": b"x", b"same-2": b"y"})
    assert filesystem.content(IDENTITY.path)[HEADER_BYTES:].startswith(b"same-12xy")


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_samples_share_prefixes_or_not(layout: str, compression: Compression) -> None:
    prefixes = prefix_bytes_of(table_of(sample(layout, 700), SegmentOptions(compression)))
    assert len(prefixes) == 3
    if layout in PREFIXED_LAYOUTS:
        assert min(prefixes) > len(PREFIX)
    else:
        assert prefixes == [0, 0, 0]


def mixed(keys: str, values: str) -> dict[bytes, Stored]:
    """Three blocks: keys that share nothing, 29 bytes and 31 bytes. `keys`, `values`: fixed or variable."""
    spread = [(number * 128).to_bytes(2, "big") + bytes(30) for number in range(BLOCK_ENTRIES)]
    close = [b"\x80" * 29 + b"%03d" % number for number in range(BLOCK_ENTRIES)]
    closer = [b"\x90" * 31 + bytes([number]) for number in range(BLOCK_ENTRIES)]
    stretch = {"fixed": 0, "variable": 1}
    return {
        key + b"." * (place % 3 * stretch[keys]): b"%05d" % place + b"+" * (place % 3 * stretch[values])
        for place, key in enumerate([*spread, *close, *closer])
    }


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("values", ["fixed", "variable"])
@pytest.mark.parametrize("keys", ["fixed", "variable"])
def test_blocks_with_different_prefixes_and_with_none_in_one_table(
    keys: str, values: str, compression: Compression
) -> None:
    entries = mixed(keys, values)
    listed = list(entries)
    table = table_of(entries, SegmentOptions(compression))
    assert prefix_bytes_of(table) == [0, 29, 31]
    asked = [*listed[::-7], *(key[:-1] for key in listed), *(key + b"x" for key in listed)]
    assert table.get_many(asked) == list(map(entries.get, asked))
    assert [table.get_many([key])[0] for key in asked] == list(map(entries.get, asked))
    for first in (0, 100, 255, 256, 300, 600, 767):
        for key_range in (KeyRange(listed[first]), KeyRange(b"", listed[first] + b"\0")):
            expected = [key for key in listed if key in key_range]
            page = table.page(key_range, False, LOTS, LOTS)
            assert page is not None
            assert decode(page.keys.frame, page.keys.fixed, page.entries, 1, LOTS) == expected
            assert (page.first_key, page.last_key) == (expected[0], expected[-1])
            assert table.chunk(key_range, True, LOTS, LOTS).keys == expected
            assert [bytes(key) for key in table.entries(key_range).keys] == expected


def test_bytes_of_a_page_are_counted_with_whole_keys() -> None:
    entries: dict[bytes, Stored] = {b"%0999d" % number: b"v" for number in range(640)}
    table = table_of(entries)
    assert min(prefix_bytes_of(table)) > 990
    for reverse in (False, True):
        page = table.page(EVERYTHING, reverse, LOTS, 100_000)
        assert page is not None
        assert len(page.keys.frame) + len(page.values().frame) == page.entries * 1_000
        assert 100_000 <= page.entries * 1_000 < 200_000


@pytest.mark.parametrize(
    ("layout", "too_long"), [("fixed-prefixed-fixed", len(PREFIX) + 12), ("variable-prefixed-fixed", len(PREFIX) + 20)]
)
def test_a_prefix_longer_than_a_key_is_refused(layout: str, too_long: int, monkeypatch: pytest.MonkeyPatch) -> None:
    filesystem = empty_filesystem()
    entries = sample(layout, BLOCK_ENTRIES + 9)
    worth = iter([10, too_long])
    monkeypatch.setattr(table_writer, "prefix_worth_storing", lambda *_: next(worth))
    record = write(filesystem, entries)
    content = filesystem.content(IDENTITY.path)
    index_at = decode_footer(content, IDENTITY, check_header(content, IDENTITY), record.checksum).block_index.offset
    second_record_at = index_at + 8 + 40
    for read in (Table.entries, Table.blocks, lambda table: table.get_many(list(entries))):
        with pytest.raises(Corruption, match=f"a prefix of {too_long} bytes in block 1") as error:
            read(Table.open(filesystem, IDENTITY, record))
        assert (error.value.file, error.value.offset) == (IDENTITY.path, second_record_at)
    [damage] = inspect_table(filesystem, IDENTITY.path, TABLE.magic, 5).damage
    assert (damage.offset, damage.file) == (second_record_at, IDENTITY.path)


def test_inspection_tells_the_prefix_of_a_block() -> None:
    filesystem = empty_filesystem()
    entries = sample("variable-prefixed-variable", 300)
    write(filesystem, entries)
    findings = inspect_table(filesystem, IDENTITY.path, TABLE.magic, 5)
    assert findings.damage == []
    assert [block["prefix_bytes"] for block in findings.facts["blocks"]] == prefix_bytes_of(table_of(entries))
    assert [entry["key"] for entry in findings.facts["entries"]] == list(entries)[:5]


def test_tables_of_the_version_before_are_refused() -> None:
    filesystem = empty_filesystem()
    record = write(filesystem, sample("fixed-fixed", 3))
    content = bytearray(filesystem.content(IDENTITY.path))
    content[8] = 2
    filesystem.place(IDENTITY.path, bytes(content))
    with pytest.raises(Corruption, match="format version is 2 instead of 3"):
        Table.open(filesystem, IDENTITY, record)


def test_a_prefix_may_be_longer_than_the_keys_of_other_blocks() -> None:
    entries: dict[bytes, Stored] = {b"%03d" % number: b"" for number in range(BLOCK_ENTRIES)}
    entries |= {b"x" * 100 + b"%03d" % number: b"" for number in range(BLOCK_ENTRIES)}
    table = table_of(entries)
    assert prefix_bytes_of(table) == [0, 100]
    assert table.get_many(list(entries)) == list(entries.values())
