"""The map, the manifests and the documents of logs, compared with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shardstore.doctor.findings import Kind
from shardstore.doctor.strays import strays_in
from shardstore.doctor.survey import Survey, survey_of
from shardstore.files.documents import publish
from shardstore.files.file_names import ROUTES
from shardstore.key_range import KeyRange
from shardstore.router.route_table import Topology, encode
from shardstore.tables.manifest import read_manifest
from shardstore.wire.route_map import Route, RouteMap
from shardstore.wire.topology import Change, Relative
from shardstore.workers.segment.manifest_writer import create_segment, publish_manifest
from shardstore.workers.wal.log_document import LogDocument, publish_log_document
from tests.unit.faulty_filesystem import FaultyFilesystem

STORE = "5" * 16
LIFE = 7 << 32
SPLIT = Change(1, "split", (Relative(2, b"m", b"", 0),), (Relative(3, b"m", b"t", 0), Relative(4, b"t", b"", 0)))


def route(start: bytes, segment: int, created: bool = True) -> Route:
    return Route(start, segment, 0, 1, created)  # type: ignore[arg-type]


TWO = Topology(RouteMap(1, (route(b"", 1), route(b"m", 2))), 3, workers=(0,))
SPLITTING = Topology(
    RouteMap(2, (route(b"", 1), route(b"m", 3, False), route(b"t", 4, False))), 5, 2, (SPLIT,), workers=(0,)
)


@pytest.fixture
def filesystem() -> FaultyFilesystem:
    filesystem = FaultyFilesystem()
    for directory in ("router", "workers/0000"):
        filesystem.make_directory(directory)
    create_segment(filesystem, STORE, 1, KeyRange(b"", b"m"), 1)
    create_segment(filesystem, STORE, 2, KeyRange(b"m"), 1)
    publish_log_document(filesystem, LogDocument(STORE, 0, 5, 0, life=LIFE))
    return filesystem


def surveyed(filesystem: FaultyFilesystem, topology: Topology = TWO) -> Survey:
    publish(filesystem, ROUTES, encode(STORE, topology))
    return survey_of(filesystem, STORE)


def found(survey: Survey) -> Sequence[tuple[Kind, str, str]]:
    return [(each.kind, each.file, each.what) for each in survey.findings]


def test_a_sound_store_and_a_split_under_way_have_no_findings(filesystem: FaultyFilesystem) -> None:
    assert found(surveyed(filesystem)) == []
    assert found(surveyed(filesystem, SPLITTING)) == []
    create_segment(filesystem, STORE, 3, KeyRange(b"m", b"t"), 1)
    survey = surveyed(filesystem, SPLITTING)
    assert found(survey) == []
    assert list(strays_in(filesystem, survey)) == []


def test_a_parent_that_its_children_still_need(filesystem: FaultyFilesystem) -> None:
    filesystem.remove("segments/00000002/MANIFEST")
    missing = "the segment is in the route map, but its manifest is missing"
    expected = [(Kind.MANIFEST, "segments/00000002/MANIFEST", missing)]
    assert found(surveyed(filesystem)) == expected
    assert found(surveyed(filesystem, SPLITTING))[:1] == expected
    create_segment(filesystem, STORE, 3, KeyRange(b"m", b"t"), 1)
    create_segment(filesystem, STORE, 4, KeyRange(b"t"), 1)
    assert found(surveyed(filesystem, SPLITTING)) == []


def test_a_manifest_of_other_keys_or_older_than_the_log_knows(filesystem: FaultyFilesystem) -> None:
    publish_log_document(filesystem, LogDocument(STORE, 0, 5, 0, life=LIFE, segments={1: 3}))
    manifest = read_manifest(filesystem, STORE, 2)
    publish_manifest(filesystem, replace(manifest, start=b"n"))
    older = "is version 1, older than version 3, which was there before"
    assert found(surveyed(filesystem)) == [
        (Kind.MANIFEST, "segments/00000001/MANIFEST", older),
        (Kind.MANIFEST, "segments/00000002/MANIFEST", f"holds b'n' to b'', not {KeyRange(b'm')}"),
    ]


def test_a_dedup_window_that_is_none(filesystem: FaultyFilesystem) -> None:
    manifest = read_manifest(filesystem, STORE, 2)
    publish_manifest(filesystem, replace(manifest, dedup={"clients": [[1, 2]]}))
    [(kind, file, what)] = found(surveyed(filesystem))
    assert (kind, file) == (Kind.WINDOW, "segments/00000002/MANIFEST")
    assert what.startswith("its dedup window is none: ")


def test_a_log_that_is_missing_or_is_an_older_copy(filesystem: FaultyFilesystem) -> None:
    newer = replace(TWO, lives={0: LIFE + (1 << 32)})
    older = "is not the newest log of this worker: its directory was removed, or is an older copy"
    assert found(surveyed(filesystem, newer)) == [(Kind.LOG, "workers/0000/LOG", older)]
    filesystem.remove("workers/0000/LOG")
    assert found(surveyed(filesystem, newer)) == [
        (Kind.LOG, "workers/0000/LOG", "is missing, but this worker had a log")
    ]
    assert found(surveyed(filesystem)) == [], "it has never run"


def test_a_change_that_leaves_a_gap_or_has_other_keys(filesystem: FaultyFilesystem) -> None:
    gap = replace(SPLIT, children=(SPLIT.children[0], replace(SPLIT.children[1], start=b"u")))
    less = replace(SPLIT, children=SPLIT.children[:1])
    for change, what in (
        (gap, "change 1, a split: its ranges leave a gap"),
        (less, "change 1, a split: its children have other keys than its parents"),
    ):
        survey = surveyed(filesystem, replace(SPLITTING, changes=(change,)))
        assert (Kind.CHANGE, ROUTES, what) in found(survey)


def test_a_map_that_is_missing_or_older_than_its_segments(filesystem: FaultyFilesystem) -> None:
    missing = (Kind.ROUTE_MAP, ROUTES, "is missing, but segments holds segments")
    assert found(survey_of(filesystem, STORE)) == [missing]
    assert survey_of(filesystem, STORE).logs.keys() == {0}, "logs are read without a map, too"
    create_segment(filesystem, STORE, 9, KeyRange(b"m"), 1)
    older = (Kind.ROUTE_MAP, ROUTES, "is older than segment 9, which it does not know")
    assert found(surveyed(filesystem)) == [older]


def test_leftovers_are_harmless_and_strays_are_not(filesystem: FaultyFilesystem) -> None:
    create_segment(filesystem, STORE, 9, KeyRange(b"m"), 1)
    for path in (
        *("segments/00000001/table-00000005.sst", "segments/00000001/notes", "segments/00000001/MANIFEST.tmp"),
        *("workers/0000/core", "STORE.tmp", "photo.jpg"),
    ):
        filesystem.create(path).close()
    filesystem.make_directory("workers/0007")
    filesystem.make_directory("segments/copy")
    survey = surveyed(filesystem, replace(TWO, segment_next=10))
    strays = {each.file: each.kind for each in strays_in(filesystem, survey)}
    leftovers = {
        *("STORE.tmp", "workers/0007", "segments/00000001/MANIFEST.tmp", "segments/00000001/table-00000005.sst"),
        "segments/00000009",
    }
    assert {file for file, kind in strays.items() if kind is Kind.LEFTOVER} == leftovers
    others = {"photo.jpg", "workers/0000/core", "segments/copy", "segments/00000001/notes"}
    assert {file for file, kind in strays.items() if kind is Kind.STRAY} == others


def test_a_change_whose_parent_cannot_be_read_cannot_go_on(filesystem: FaultyFilesystem) -> None:
    filesystem.remove("segments/00000002/MANIFEST")
    stuck = (Kind.CHANGE, ROUTES, "change 1, a split: cannot go on, as its parent, segment 2, cannot be read")
    assert stuck in found(surveyed(filesystem, SPLITTING))
    create_segment(filesystem, STORE, 3, KeyRange(b"m", b"t"), 1)
    create_segment(filesystem, STORE, 4, KeyRange(b"t"), 1)
    assert found(surveyed(filesystem, SPLITTING)) == [], "its children have all that they need"
