"""Format version 6 of manifests: writing gives the committed bytes, and they can be read; so can former versions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shardstore.files.file_names import manifest as manifest_path
from shardstore.files.file_names import segment_directory
from shardstore.identifiers import RequestId
from shardstore.tables.manifest import Manifest, read_manifest
from shardstore.tables.table_format import TableRecord
from shardstore.workers.ranges.dedup import DedupWindow, Noted
from shardstore.workers.segment.manifest_writer import publish_manifest
from tests.unit.faulty_filesystem import FaultyFilesystem

GOLDEN = Path(__file__).parent / "manifest-v6.bin"
FORMER = [Path(__file__).parent / f"manifest-v{version}.bin" for version in (4, 5)]
MOMENTS = (1_700_000_000_000, 1_700_000_000_001, 1_700_000_000_002, 1_700_000_000_003, 1_800_000_000_000)
MANIFEST = Manifest(
    "golden",
    42,
    b"a",
    b"l",
    6,
    3,
    3,
    (TableRecord(5, 3_000, 9, 1, b"b", b"j", 50), TableRecord(6, 900, 5, 1, b"b", b"c", 5)),
    (TableRecord(3, 7_000, 300, 0, b"a", b"k", 2**63 + 1), TableRecord(4, 9_000, 5, 2, b"ka", b"kc", 6, 7, 8)),
    (
        (TableRecord(1, 7_000, 300, 0, b"a", b"k", 7),),
        (TableRecord(2, 8_000, 300, 9, b"c", b"f", 8, 7, 9, b"a", b"l", 900),),
    ),
    {2**63 + 1: 9},
    {
        "forgot": False,
        "clients": [
            [2**63, 60, False, 3, b"\x04\x00", 4, b"\x06\x08\x05\x01\xac\x02\x03", 313, 3, 400, 415, 1, b" 313:-9"]
        ],
    },
)
WINDOW = {4: None, 6: None, 7: None, 8: None, 13: b"", 313: b"-9", **dict.fromkeys(range(400, 416))}
"""The requests of a client that the golden file records."""


def test_the_golden_file_is_what_is_written_and_can_be_read() -> None:
    filesystem = FaultyFilesystem()
    filesystem.make_directory(segment_directory(42))
    expiring = replace(MANIFEST.main[1], expiring=3, moments=MOMENTS)
    manifest = replace(MANIFEST, main=(MANIFEST.main[0], expiring))
    publish_manifest(filesystem, manifest)
    assert filesystem.content(manifest_path(42)) == GOLDEN.read_bytes()
    assert read_manifest(filesystem, "golden", 42) == manifest


@pytest.mark.parametrize("former", FORMER, ids=lambda path: path.stem)
def test_the_golden_files_of_former_versions_can_be_read(former: Path) -> None:
    filesystem = FaultyFilesystem()
    filesystem.place(manifest_path(42), former.read_bytes())
    found = read_manifest(filesystem, "golden", 42)
    assert found.is_old
    assert replace(found, format=MANIFEST.format) == MANIFEST
    publish_manifest(filesystem, found.successor())
    assert not read_manifest(filesystem, "golden", 42).is_old


def test_the_window_in_the_golden_file_says_what_it_did() -> None:
    window = DedupWindow.from_document(MANIFEST.dedup)
    assert window.to_carry() == MANIFEST.dedup
    for sequence in range(420):
        noted = window.noted(RequestId(2**63, sequence))
        assert noted == (Noted(0, WINDOW[sequence]) if sequence in WINDOW else None)
        assert window.has_forgotten(RequestId(2**63, sequence)) == (sequence <= 3)
