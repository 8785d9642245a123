"""Format version 3 of tables, all layouts: writing gives the committed bytes, and they can be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.segment_options import Compression, SegmentOptions
from shardstore.tables.table_format import Entries, TableRecord
from shardstore.tables.table_reader import Table
from shardstore.workers.segment.table_writer import write_table
from tests.unit.table_samples import IDENTITY, LAYOUTS, empty_filesystem, sample, with_deletions

GOLDEN = Path(__file__).parent
COMPRESSED = ("lz4", "zstd")
ODD: dict[bytes, Stored] = {
    b"a": b"",
    b"b" * 300: b"long key",
    b"c": TOMBSTONE,
    b"d": b"x" * 256,
    b"e": b"y" * 65_536,
}
TABLES: dict[str, dict[bytes, Stored]] = {
    **{layout: sample(layout, 300) for layout in LAYOUTS},
    "deletions": with_deletions(sample("fixed-fixed", 20)),
    "odd": ODD,
}


def written(entries: dict[bytes, Stored], compression: Compression) -> tuple[bytes, TableRecord]:
    filesystem = empty_filesystem()
    columns = Entries(list(entries), list(entries.values()))
    record = write_table(filesystem, IDENTITY, columns, 5, 9, SegmentOptions(compression=compression))
    return filesystem.content(IDENTITY.path), record


def opened(content: bytes, record: TableRecord) -> Table:
    filesystem = empty_filesystem()
    filesystem.place(IDENTITY.path, content)
    return Table.open(filesystem, IDENTITY, record)


@pytest.mark.parametrize("name", TABLES)
def test_what_is_written_is_the_golden_file(name: str) -> None:
    content, record = written(TABLES[name], Compression.NONE)
    golden = (GOLDEN / f"table-{name}-v3.bin").read_bytes()
    assert content == golden
    assert_holds(opened(golden, record), TABLES[name])


@pytest.mark.parametrize("compression", COMPRESSED)
def test_compressed_golden_files_can_be_read(compression: str) -> None:
    """Later versions of compressors may write other bytes, so only reading is tested."""
    entries = TABLES["variable-variable"]
    content = (GOLDEN / f"table-{compression}-v3.bin").read_bytes()
    _, record = written(entries, Compression(compression))
    footer_checksum = int.from_bytes(content[-16:-8], "little")
    table = opened(content, replace(record, file_bytes=len(content), checksum=footer_checksum))
    assert table.properties.compression == compression
    assert_holds(table, entries)


def assert_holds(table: Table, entries: dict[bytes, Stored]) -> None:
    keys = [*entries, b"absent"]
    assert table.get_many(keys) == [*entries.values(), None]
    assert [table.get_many([key])[0] for key in keys] == [*entries.values(), None]
