"""The file of the route map: made once, replaced as a whole, refused if it is from another store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shardstore.errors import Corruption, InvalidRequest
from shardstore.files import documents
from shardstore.files.formats import ROUTE_MAP
from shardstore.identifiers import Epoch
from shardstore.router import change_plan, route_table
from shardstore.router.route_table import RouteTable, Topology, open_route_table
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.wire.route_map import RouteMap, presplit
from shardstore.wire.topology import Change, Relative

GOLDEN_FILE = Path(__file__).parents[2] / "golden" / "routes-v5.bin"
FORMER = {version: GOLDEN_FILE.with_name(f"routes-v{version}.bin") for version in (3, 4)}
GOLDEN_MAP = replace(presplit([b"\x40", b"m", b"\xc0\x01"], 2), version=7).with_routes(
    [replace(presplit([b"\x40"], 2).routes[1], worker=0, epoch=Epoch(3), created=True)]
)

GOLDEN_CHANGE = Change(
    3, "split", (Relative(2, b"\x40", b"m", 0, 3),), (Relative(7, b"\x40", b"k", 0), Relative(8, b"k", b"m", 1))
)
FORMER_TOPOLOGY = Topology(GOLDEN_MAP, 9, 4, (GOLDEN_CHANGE,), (1,), (0, 1, 3), {0: 2**64 - 1, 3: 5}, (b"ma", b"n"))
GOLDEN_TOPOLOGY = replace(
    FORMER_TOPOLOGY,
    changes=(
        replace(
            GOLDEN_CHANGE, resolution="cancel", instead_of=2, given_up=(2,), discarded=(Relative(6, b"\x40", b"m", 3),)
        ),
    ),
)


def reopen(filesystem: PosixFilesystem, store: str = "store", workers_asked: int | None = None) -> RouteTable:
    return open_route_table(filesystem, store, ["40", "80"], 2, workers_asked)


def test_file_is_the_bytes_of_the_golden_file(filesystem: PosixFilesystem, tmp_path: Path) -> None:
    assert route_table.encode("store", GOLDEN_TOPOLOGY) == GOLDEN_FILE.read_bytes()
    filesystem.make_directory("router")
    (tmp_path / "router" / "ROUTES").write_bytes(GOLDEN_FILE.read_bytes())
    assert reopen(filesystem).topology == GOLDEN_TOPOLOGY


@pytest.mark.parametrize("version", FORMER)
def test_the_golden_file_of_a_former_version_is_read_and_written_anew(
    filesystem: PosixFilesystem, tmp_path: Path, version: int
) -> None:
    filesystem.make_directory("router")
    (tmp_path / "router" / "ROUTES").write_bytes(FORMER[version].read_bytes())
    assert reopen(filesystem).topology == replace(FORMER_TOPOLOGY, together=FORMER_TOPOLOGY.together * (version > 3))
    assert (tmp_path / "router" / "ROUTES").read_bytes()[8] == ROUTE_MAP.version


def test_what_is_kept_together_is_found_again(filesystem: PosixFilesystem) -> None:
    reopen(filesystem).publish_together((b"\x41", b"\x42"))
    assert reopen(filesystem).topology.together == (b"\x41", b"\x42")


@pytest.mark.parametrize("together", [(b"b", b"a"), (b"a", b"a"), (b"a", b"ab"), (b"\x40",), (b"",)])
def test_what_cannot_be_kept_together_is_damage(filesystem: PosixFilesystem, together: tuple[bytes, ...]) -> None:
    split = RouteMap(1, presplit([b"\x40\x01"], 2).routes)
    topology = replace(reopen(filesystem).topology, map=split, together=together)
    documents.publish(filesystem, "router/ROUTES", route_table.encode("store", topology))
    with pytest.raises(Corruption, match="a range begins within what is kept together"):
        reopen(filesystem)


def test_a_new_store_is_presplit_and_the_map_is_there_before_it_is_served(filesystem: PosixFilesystem) -> None:
    table = reopen(filesystem)
    assert table.current == presplit([b"\x40", b"\x80"], 2)
    assert filesystem.exists("router/ROUTES")


def test_boundaries_count_only_for_a_new_store(filesystem: PosixFilesystem) -> None:
    made = reopen(filesystem).current
    assert open_route_table(filesystem, "store", ["11"], 2).current == made


def test_a_published_map_is_found_again(filesystem: PosixFilesystem) -> None:
    table = reopen(filesystem)
    table.publish([replace(table.current.routes[0], epoch=Epoch(9), created=True)])
    assert table.current.version == 2
    assert reopen(filesystem).current == table.current


def test_the_map_of_another_store_is_refused(filesystem: PosixFilesystem) -> None:
    reopen(filesystem)
    with pytest.raises(Corruption, match="belongs to store 'store', not 'other'"):
        reopen(filesystem, store="other")


def test_a_lost_map_of_a_store_with_segments_is_not_made_anew(filesystem: PosixFilesystem) -> None:
    filesystem.make_directory("segments/00000001")
    with pytest.raises(Corruption, match="is missing"):
        reopen(filesystem)


def test_a_store_has_the_workers_it_had_or_those_asked_for_beside_all_that_own_something(
    filesystem: PosixFilesystem,
) -> None:
    assert reopen(filesystem).topology.workers == (0, 1)
    assert reopen(filesystem, workers_asked=3).topology.workers == (0, 1, 2)
    assert reopen(filesystem).topology.workers == (0, 1, 2)
    assert reopen(filesystem, workers_asked=1).topology.workers == (0, 1)
    assert reopen(filesystem).topology.workers == (0, 1)


def test_workers_of_a_change_under_way_stay_whatever_is_asked_for(filesystem: PosixFilesystem) -> None:
    table = _created(reopen(filesystem, workers_asked=4))
    assert table.topology.workers == (0, 1, 2, 3)
    table.publish_begin(change_plan.move_change(table.topology, b"\x80", 3))
    assert [route.worker for route in table.current] == [0, 0, 3]
    assert reopen(filesystem, workers_asked=1).topology.workers == (0, 1, 3)


def test_who_leaves_goes_on_leaving_and_someone_always_stays(filesystem: PosixFilesystem) -> None:
    table = reopen(filesystem, workers_asked=3)
    table.publish_workers([0, 1, 2], [0, 1])
    assert (reopen(filesystem).topology.workers, reopen(filesystem).topology.leaving) == ((0, 1, 2), (0, 1))
    found = reopen(filesystem, workers_asked=2).topology
    assert (found.workers, found.leaving, found.staying) == ((0, 1, 2), (0, 1), [2])
    table.publish_workers([0, 1, 2], [1, 2])
    found = reopen(filesystem, workers_asked=1).topology
    assert (found.workers, found.leaving) == ((0, 1), (1,))


@pytest.mark.fault("M2")
@pytest.mark.parametrize(
    ("workers", "leaving"), [((0,), ()), ((0, 1), (0, 1)), ((0, 1), (2,)), ((0, 1, 256), ()), ((0, 1, True), ())]
)
def test_workers_that_cannot_be_are_damage(
    filesystem: PosixFilesystem, workers: tuple[int, ...], leaving: tuple[int, ...]
) -> None:
    topology = replace(reopen(filesystem).topology, workers=workers, leaving=leaving)
    documents.publish(filesystem, "router/ROUTES", route_table.encode("store", topology))
    with pytest.raises(Corruption, match="its workers are inconsistent"):
        reopen(filesystem)


@pytest.mark.fault("M2")
@pytest.mark.parametrize(
    "routes", [[], [[b"a", 1, 0, 0, False]], [[b"", 1, 0, 0, False], [b"", 2, 0, 0, False]], "text"]
)
def test_a_map_with_a_gap_or_an_overlap_is_damage(filesystem: PosixFilesystem, routes: object) -> None:
    filesystem.make_directory("router")
    body = {"store": "store", "map": {"version": 1, "routes": routes}}
    data = documents.encode_document(ROUTE_MAP, body)
    documents.publish(filesystem, "router/ROUTES", data)
    with pytest.raises(Corruption, match="router/ROUTES"):
        reopen(filesystem)


def test_a_change_stands_in_the_map_for_its_parents_until_it_is_done(filesystem: PosixFilesystem) -> None:
    table = reopen(filesystem)
    change = change_plan.split_change(_created(table).topology, [b"\x50"], [0, 0])
    table.publish_begin(change)
    found = reopen(filesystem)
    assert found.topology == table.topology
    assert [(route.start, route.segment, route.worker) for route in found.current] == [
        (b"", 1, 0),
        (b"\x40", 4, 0),
        (b"\x50", 5, 0),
        (b"\x80", 3, 1),
    ]
    assert (found.topology.changes, found.topology.segment_next, found.topology.change_next) == ((change,), 6, 2)
    found.publish_end(change)
    assert reopen(filesystem).topology.changes == ()
    assert all(route.created for route in found.current)


@pytest.mark.fault("R3")
def test_a_segment_that_the_map_does_not_know_shows_that_the_map_is_old(filesystem: PosixFilesystem) -> None:
    reopen(filesystem)
    filesystem.make_directory("segments/00000004")
    with pytest.raises(Corruption, match="is older than segment 4"):
        reopen(filesystem)


def _created(table: RouteTable) -> RouteTable:
    table.publish([replace(route, created=True) for route in table.current])
    return table


@pytest.mark.parametrize("boundaries", [["zz"], ["80", "40"], ["40", "40"], [""]])
def test_bad_boundaries_are_refused_and_leave_nothing(filesystem: PosixFilesystem, boundaries: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="boundaries"):
        open_route_table(filesystem, "store", boundaries, 2)
    assert not filesystem.exists("router/ROUTES")


@pytest.mark.fault("M3")
def test_a_failed_publish_changes_nothing(filesystem: PosixFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    table = reopen(filesystem)
    before: RouteMap = table.current

    def refuse(path: str) -> None:
        raise OSError(path)

    monkeypatch.setattr(filesystem, "create", refuse)
    with pytest.raises(OSError, match="ROUTES"):
        table.publish([replace(before.routes[0], epoch=Epoch(9))])
    assert table.current is before
