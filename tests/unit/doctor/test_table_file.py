"""What is wrong with a table although each of its checksums is right, and each part that is damaged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shardstore.doctor.table_file import damage_in_table
from shardstore.identifiers import Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.tables.block_index import BlockIndex
from shardstore.tables.table_file import TableFile
from shardstore.tables.table_format import TableRecord
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.table_samples import IDENTITY, LAYOUTS, STORE, empty_filesystem, sample, with_deletions, write

COUNT = 600
SMALL_BLOCKS = SegmentOptions(block_bytes=1024)


def damage(filesystem: FaultyFilesystem, record: TableRecord, key_range: KeyRange = EVERYTHING) -> list[str]:
    return [each.what for each in damage_in_table(filesystem, STORE, IDENTITY.segment, key_range, record)]


def written(entries: dict[bytes, Stored]) -> tuple[FaultyFilesystem, TableRecord]:
    filesystem = empty_filesystem()
    return filesystem, write(filesystem, entries, options=SMALL_BLOCKS)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compression", list(Compression))
def test_a_sound_table_has_no_damage(layout: str, compression: Compression) -> None:
    filesystem = empty_filesystem()
    options = SegmentOptions(block_bytes=1024, compression=compression)
    assert damage(filesystem, write(filesystem, with_deletions(sample(layout, COUNT)), options=options)) == []


def test_a_virtual_part_is_compared_within_its_bounds() -> None:
    entries = sample("fixed-fixed", COUNT)
    filesystem, record = written(entries)
    keys = sorted(entries)
    part = replace(
        record,
        start=keys[100],
        end=keys[200],
        key_first=keys[100],
        key_last=keys[199],
        entries=100,
        file_entries=COUNT,
    )
    assert damage(filesystem, part, KeyRange(keys[90], keys[250])) == []
    assert damage(filesystem, replace(part, entries=99)) == ["has 100 entries that count, and the manifest says 99"]
    more = f"has {COUNT} entries in all, and the manifest says {COUNT + 1}"
    assert damage(filesystem, replace(part, file_entries=COUNT + 1)) == [more]


def test_what_the_manifest_says_wrongly() -> None:
    filesystem, record = written(sample("fixed-fixed", COUNT))
    edges = "has another first or last key than the manifest says"
    assert damage(filesystem, replace(record, key_first=b"a")) == [edges]
    assert damage(filesystem, replace(record, entries=1)) == [
        f"has {COUNT} entries that count, and the manifest says 1"
    ]
    outside = f"has keys outside of its range, {KeyRange(b'z')}"
    assert damage(filesystem, record, KeyRange(b"z")) == [outside]


def test_keys_out_of_order_in_a_block_and_between_blocks() -> None:
    entries = sample("fixed-fixed", COUNT)
    keys = list(entries)
    keys[3], keys[4] = keys[4], keys[3]
    filesystem, record = written({key: entries[key] for key in keys})
    [within] = damage(filesystem, record)
    assert within.startswith("keys of block 0 are out of order: ")


@pytest.mark.parametrize("section", ["block_index", "hash_index", "bloom", "properties"])
def test_a_damaged_section_is_named(section: str) -> None:
    filesystem, record = written(sample("variable-variable", COUNT))
    place = getattr(TableFile(filesystem, IDENTITY, record).sections, section)
    flip(filesystem, place.offset + 1)
    assert damage(filesystem, record) == [f"checksum of the {section.replace('_', ' ')} does not match"]


def test_each_damaged_block_is_named() -> None:
    filesystem, record = written(sample("variable-variable", COUNT))
    index = TableFile(filesystem, IDENTITY, record).block_index()
    for block in (1, 3):
        flip(filesystem, int(index.begins[block]))
    assert damage(filesystem, record) == [f"checksum of block {block} does not match" for block in (1, 3)]


def flip(filesystem: FaultyFilesystem, at: int) -> None:
    inode = filesystem._file("damage", IDENTITY.path)
    inode.cache[at] ^= 1


def test_an_index_that_names_other_keys_and_properties_that_count_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    filesystem, record = written(sample("fixed-fixed", COUNT))
    blocks = len(TableFile(filesystem, IDENTITY, record).block_index())
    with monkeypatch.context() as patched:
        patched.setattr(BlockIndex, "first_keys", [b"x"] * blocks)
        assert damage(filesystem, record) == [
            f"block {block} begins with another key than the index says" for block in range(blocks)
        ]
    properties = replace(TableFile(filesystem, IDENTITY, record).properties, entries=7)
    monkeypatch.setattr(TableFile, "_read_properties", lambda _: properties)
    assert damage(filesystem, record) == [f"has {COUNT} entries, and its properties say 7"]
