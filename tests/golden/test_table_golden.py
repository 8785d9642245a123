"""Format version 1 of tables and manifests: the committed bytes are what is written, and they can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.file_names import manifest as manifest_path
from shardstore.file_names import segment_directory
from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import KeyRange
from tests.unit.faulty_filesystem import FaultyFilesystem
from workers.segment.manifest import Manifest, publish_manifest, read_manifest
from workers.segment.segment import Segment
from workers.segment.table_format import Entries, Identity
from workers.segment.table_writer import write_table

GOLDEN = Path(__file__).parent
STORE = "golden"
SEGMENT = 42
FIXED: dict[bytes, Stored] = {b"key-%05d" % number: b"<%06d>" % (number * number) for number in range(300)}
VARIABLE: dict[bytes, Stored] = {
    b"": b"never written",
    b"a": b"",
    b"b" * 300: b"long key",
    b"c": TOMBSTONE,
    b"d": b"x" * 256,
    b"e": b"y" * 65_536,
}
del VARIABLE[b""]
TABLES = {1: FIXED, 2: VARIABLE}


def written() -> tuple[FaultyFilesystem, Manifest]:
    filesystem = FaultyFilesystem()
    filesystem.make_directory(segment_directory(SEGMENT))
    records = tuple(
        write_table(filesystem, Identity(STORE, SEGMENT, number), Entries(list(table), list(table.values())), 5, 9)
        for number, table in TABLES.items()
    )
    dedup = {"forgot": False, "clients": [[2**63, 3, {4: 5}]]}
    manifest = Manifest(STORE, SEGMENT, b"a", b"l", 6, 3, 3, records, {2**63 + 1: 9}, dedup)
    publish_manifest(filesystem, manifest)
    return filesystem, manifest


FILES = {
    "table-fixed-v1.bin": Identity(STORE, SEGMENT, 1).path,
    "table-variable-v1.bin": Identity(STORE, SEGMENT, 2).path,
    "manifest-v1.bin": manifest_path(SEGMENT),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_is_the_golden_file(name: str) -> None:
    assert written()[0].content(FILES[name]) == (GOLDEN / name).read_bytes()


def test_the_golden_files_can_be_read() -> None:
    filesystem = FaultyFilesystem()
    for name, path in FILES.items():
        filesystem.place(path, (GOLDEN / name).read_bytes())
    assert read_manifest(filesystem, STORE, SEGMENT) == written()[1]
    segment = Segment.open(filesystem, STORE, SEGMENT)
    assert segment.manifest.key_range == KeyRange(b"a", b"l")
    everything = {**FIXED, **VARIABLE}
    assert segment.get_many([*everything, b"absent"]) == [*everything.values(), None]
