"""Damaged tables and manifests: every read is right or raises Corruption with the name of the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from shardstore.errors import Corruption
from shardstore.files.file_names import manifest as manifest_path
from shardstore.identifiers import Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import BLOCK_ENTRIES
from shardstore.segment_options import DEFAULTS, Compression, SegmentOptions
from shardstore.tables.manifest import new_manifest, read_manifest
from shardstore.tables.table_format import HEADER_BYTES, TableRecord, check_header, decode_footer
from shardstore.tables.table_reader import Table
from shardstore.workers.segment.manifest_writer import publish_manifest
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.table_samples import (
    IDENTITY,
    LAYOUTS,
    STORE,
    empty_filesystem,
    key_of,
    sample,
    with_deletions,
    write,
)

ABSENT = [key_of(layout, number) for layout in ("fixed-fixed", "fixed-prefixed-fixed") for number in range(1, 30, 2)]
PRIME = 31
"""The step between damaged bytes in the blocks of a larger table; other sections are damaged byte by byte."""


def answers(filesystem: FaultyFilesystem, record: TableRecord, entries: dict[bytes, Stored]) -> list[bool]:
    """Whether the result of each way to read is right; ways that raise Corruption are left out."""
    found = []
    for read in (right_batch, right_singles, right_chunk, right_page):
        with suppress(Corruption), naming_the_file():
            found.append(read(Table.open(filesystem, IDENTITY, record), entries))
    return found


@contextmanager
def naming_the_file() -> Iterator[None]:
    """Accept Corruption that names the file."""
    try:
        yield
    except Corruption as error:
        if error.file != IDENTITY.path or error.offset < 0:
            raise AssertionError("the damage is not where it is said to be") from error
        raise


def right_batch(table: Table, entries: dict[bytes, Stored]) -> bool:
    keys = [*entries, *ABSENT]
    return table.get_many(keys) == list(map(entries.get, keys))


def right_singles(table: Table, entries: dict[bytes, Stored]) -> bool:
    return all(table.get_many([key]) == [entries.get(key)] for key in [*entries, *ABSENT][::5])


def right_chunk(table: Table, entries: dict[bytes, Stored]) -> bool:
    return list(table.chunk(EVERYTHING, False, 9999, 1 << 30).values) == list(entries.values())


def right_page(table: Table, entries: dict[bytes, Stored]) -> bool:
    page = table.page(EVERYTHING, True, 9999, 1 << 30)
    return page is None or page.entries == len(entries)


def sections_begin(content: bytes, record: TableRecord) -> int:
    return decode_footer(content, IDENTITY, check_header(content, IDENTITY), record.checksum).block_index.offset


@pytest.mark.fault("G3")
@pytest.mark.slow
@pytest.mark.parametrize("deletions", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_byte_of_a_small_table(layout: str, deletions: bool) -> None:
    entries = sample(layout, 12)
    sweep(with_deletions(entries) if deletions else entries, step=1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_blocks_of_a_larger_table(layout: str) -> None:
    sweep(sample(layout, BLOCK_ENTRIES + 9), step=PRIME)


@pytest.mark.parametrize("compression", [Compression.LZ4, Compression.ZSTD])
def test_compressed_blocks(compression: Compression) -> None:
    sweep(sample("variable-fixed", BLOCK_ENTRIES + 9), step=PRIME, options=SegmentOptions(compression))


def sweep(entries: dict[bytes, Stored], step: int, options: SegmentOptions = DEFAULTS) -> None:
    filesystem = empty_filesystem()
    record = write(filesystem, entries, IDENTITY, options)
    content = filesystem.content(IDENTITY.path)
    assert answers(filesystem, record, entries) == [True] * 4
    refusals = 0
    for offset in range(0, len(content), step):
        for damage in (0x01, 0x80):
            damaged = bytearray(content)
            damaged[offset] ^= damage
            filesystem.place(IDENTITY.path, bytes(damaged))
            right = answers(filesystem, record, entries)
            assert all(right), f"byte {offset} xor {damage} is not detected"
            refusals += len(right) < 4
    assert refusals == 2 * len(range(0, len(content), step)), "no byte is without a checksum"


@pytest.mark.fault("G4")
def test_cut_and_prolonged_tables_are_refused() -> None:
    filesystem = empty_filesystem()
    record = write(filesystem, sample("fixed-variable", 12))
    content = filesystem.content(IDENTITY.path)
    for length in [*range(len(content)), len(content) + 1]:
        filesystem.place(IDENTITY.path, content.ljust(length, b"\0")[:length])
        with pytest.raises(Corruption, match="ends"):
            Table.open(filesystem, IDENTITY, record)


def test_a_table_shorter_than_any_is_refused_even_if_the_manifest_agrees() -> None:
    filesystem = empty_filesystem()
    record = write(filesystem, sample("fixed-variable", 12))
    for length in range(0, 100, 7):
        filesystem.place(IDENTITY.path, filesystem.content(IDENTITY.path)[:length])
        with pytest.raises(Corruption):
            Table.open(filesystem, IDENTITY, replace(record, file_bytes=length))


def test_blocks_that_changed_places_are_noticed() -> None:
    filesystem = empty_filesystem()
    entries = sample("fixed-fixed", 2 * BLOCK_ENTRIES)
    record = write(filesystem, entries)
    content = filesystem.content(IDENTITY.path)
    block_bytes = (sections_begin(content, record) - HEADER_BYTES) // 2
    first, second = content[HEADER_BYTES:][:block_bytes], content[HEADER_BYTES + block_bytes :][:block_bytes]
    filesystem.place(IDENTITY.path, content[:HEADER_BYTES] + second + first + content[HEADER_BYTES + 2 * block_bytes :])
    with pytest.raises(Corruption, match="block"):
        Table.open(filesystem, IDENTITY, record).get_many(list(entries))


@pytest.mark.fault("G3")
def test_damage_in_one_block_leaves_the_others_readable() -> None:
    filesystem = empty_filesystem()
    entries = sample("fixed-fixed", 2 * BLOCK_ENTRIES)
    keys = list(entries)
    record = write(filesystem, entries)
    damaged = bytearray(filesystem.content(IDENTITY.path))
    damaged[HEADER_BYTES + 5] ^= 1
    filesystem.place(IDENTITY.path, bytes(damaged))
    table = Table.open(filesystem, IDENTITY, record)
    assert table.get_many(keys[BLOCK_ENTRIES:]) == list(entries.values())[BLOCK_ENTRIES:]
    assert table.chunk(KeyRange(keys[BLOCK_ENTRIES], b""), False, 9, 9).keys == keys[BLOCK_ENTRIES:][:9]
    with pytest.raises(Corruption, match="block 0"):
        table.get_many(keys[:1])
    with pytest.raises(Corruption, match="block 0"):
        table.get_many(keys)


def test_every_byte_of_a_manifest() -> None:
    filesystem = empty_filesystem()
    path = manifest_path(7)
    manifest = replace(new_manifest(STORE, 7, KeyRange(b"a", b"m"), 3), deltas=(write(filesystem, {b"b": b"1"}),))
    publish_manifest(filesystem, manifest)
    content = filesystem.content(path)
    for offset in range(len(content)):
        for damaged in (content[:offset], content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :]):
            filesystem.place(path, damaged)
            with pytest.raises(Corruption) as error:
                read_manifest(filesystem, STORE, 7)
            assert error.value.file == path


def test_a_manifest_of_another_store_or_segment_is_refused() -> None:
    filesystem = empty_filesystem()
    publish_manifest(filesystem, new_manifest(STORE, 7, EVERYTHING, 3))
    filesystem.place(manifest_path(8), filesystem.content(manifest_path(7)))
    with pytest.raises(Corruption, match="segment 7"):
        read_manifest(filesystem, STORE, 8)
    with pytest.raises(Corruption, match="not segment 7 of store other"):
        read_manifest(filesystem, "other", 7)
