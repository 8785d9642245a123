"""Files that the manifest does not name are removed; a newer complete table of a drain is set aside and never read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shardstore.files.file_names import aside_file, segment_directory, table_file
from shardstore.files.file_names import manifest as manifest_path
from shardstore.key_range import KeyRange
from shardstore.tables.manifest import Manifest, new_manifest
from shardstore.tables.segment import Segment
from shardstore.tables.table_format import Identity
from shardstore.workers.jobs.orphans import clear_orphans
from shardstore.workers.jobs.specs import RetireSpec
from shardstore.workers.segment.manifest_writer import publish_manifest
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.job_driver import run_to_end
from tests.unit.table_samples import STORE, empty_filesystem, write

SEGMENT = 7
DIRECTORY = segment_directory(SEGMENT)


def segment_with_orphans() -> tuple[FaultyFilesystem, Manifest]:
    """Tables 1 (live), 2 (obsolete), 4 (from a compaction) and 5 (from a drain), half of table 7, and other files."""
    filesystem = empty_filesystem()
    records = [
        write(filesystem, {b"k": b"%d" % number}, Identity(STORE, SEGMENT, number)) for number in (1, 2, 4, 5, 7)
    ]
    half = filesystem.content(table_file(SEGMENT, 7))[:-1]
    filesystem.remove(table_file(SEGMENT, 7))
    for path, content in ((table_file(SEGMENT, 7), half), (f"{DIRECTORY}/MANIFEST.tmp", b""), (f"{DIRECTORY}/x", b"")):
        filesystem.place(path, content)
    first = new_manifest(STORE, SEGMENT, KeyRange(b"a", b"z"), 1)
    manifest = replace(first, version=2, table_number_next=3, deltas=(records[0],))
    publish_manifest(filesystem, manifest)
    return filesystem, manifest


def files_of(filesystem: FaultyFilesystem) -> list[str]:
    return [path for path in filesystem.paths() if path.startswith(DIRECTORY)]


@pytest.mark.fault("G5")
def test_only_a_whole_table_of_a_drain_that_is_newer_is_set_aside() -> None:
    filesystem, manifest = segment_with_orphans()
    newer = filesystem.content(table_file(SEGMENT, 5))
    clear_orphans(filesystem, manifest)
    aside = aside_file(SEGMENT, 5, 1)
    assert files_of(filesystem) == [manifest_path(SEGMENT), table_file(SEGMENT, 1), aside]
    assert filesystem.content(aside) == newer
    assert Segment.open(filesystem, STORE, SEGMENT).get_many([b"k"]) == [b"1"]


def test_what_was_set_aside_stays_also_when_another_table_of_its_number_is() -> None:
    filesystem, manifest = segment_with_orphans()
    clear_orphans(filesystem, manifest)
    write(filesystem, {b"k": b"again"}, Identity(STORE, SEGMENT, 5))
    clear_orphans(filesystem, manifest)
    asides = [aside_file(SEGMENT, 5, copy) for copy in (1, 2)]
    assert files_of(filesystem) == [manifest_path(SEGMENT), table_file(SEGMENT, 1), *asides]


def test_it_goes_with_its_segment() -> None:
    filesystem, manifest = segment_with_orphans()
    clear_orphans(filesystem, manifest)
    run_to_end(RetireSpec(STORE, (SEGMENT,)), filesystem)
    assert files_of(filesystem) == []
