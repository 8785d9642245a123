"""The planning of changes: which requests become changes, and which are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shardstore.errors import Busy, InvalidRequest
from shardstore.identifiers import Epoch, SegmentId, WorkerId
from shardstore.limits import KEY_BYTES_MAX
from shardstore.router import change_plan
from shardstore.router.change_plan import merge_change, move_change
from shardstore.router.route_table import Topology
from shardstore.wire.route_map import Route, RouteMap
from shardstore.wire.topology import Change, Relative


def topology(*starts: bytes, **fields: object) -> Topology:
    """Ranges with these starts, numbered from 1, alternately of workers 0 and 1, each at epoch 7."""
    routes = [
        Route(start, SegmentId(at + 1), WorkerId(at % 2), Epoch(7), created=True) for at, start in enumerate(starts)
    ]
    return replace(Topology(RouteMap(5, tuple(routes)), len(starts) + 1, 4, workers=(0, 1)), **fields)  # type: ignore[arg-type]


TWO = topology(b"", b"m")


def split(of: Topology, key: bytes, right: int | None = None) -> Change:
    """Split in two: the left part stays, the right part goes to this worker or stays too."""
    owner = int(of.map.route_of(key).worker)
    return change_plan.split_change(of, [key], [owner, owner if right is None else right])


def test_a_split_stays_with_the_owner_unless_the_right_half_is_to_go() -> None:
    assert split(TWO, b"c") == Change(
        4, "split", (Relative(1, b"", b"m", 0, 7),), (Relative(3, b"", b"c", 0), Relative(4, b"c", b"m", 0))
    )
    assert [child.worker for child in split(TWO, b"c", 1).children] == [0, 1]
    assert [child.worker for child in split(TWO, b"x", 0).children] == [1, 0]
    assert split(TWO, b"c").is_local
    assert not split(TWO, b"c", 1).is_local


def test_no_split_is_within_what_is_kept_together() -> None:
    kept = topology(b"", b"m", together=(b"c", b"\xff\xff\x01"))
    for key in (b"c\0", b"cat", b"\xff\xff\x01x"):
        with pytest.raises(InvalidRequest, match="is a key of a space that is kept together"):
            split(kept, key)
    for key in (b"c", b"d", b"b\xff", b"\xff\xff\x01", b"\xff\xff\x02"):
        assert split(kept, key).children[1].start == key


def test_a_split_may_have_many_children_at_as_many_workers() -> None:
    change = change_plan.split_change(TWO, [b"c", b"f", b"k"], [0, 1, 1, 0])
    assert change.parents == (Relative(1, b"", b"m", 0, 7),)
    assert change.children == (
        Relative(3, b"", b"c", 0),
        Relative(4, b"c", b"f", 1),
        Relative(5, b"f", b"k", 1),
        Relative(6, b"k", b"m", 0),
    )
    with pytest.raises(InvalidRequest, match="more than one range"):
        change_plan.split_change(TWO, [b"c", b"m"], [0, 1, 0])


def test_a_merge_goes_to_the_owner_of_the_left() -> None:
    assert merge_change(TWO, b"c") == Change(
        4, "merge", (Relative(1, b"", b"m", 0, 7), Relative(2, b"m", b"", 1, 7)), (Relative(3, b"", b"", 0),)
    )


def test_a_move_has_a_new_segment_over_the_same_keys() -> None:
    assert move_change(TWO, b"x", 0) == Change(4, "move", (Relative(2, b"m", b"", 1, 7),), (Relative(3, b"m", b"", 0),))


@pytest.mark.fault("H9")
@pytest.mark.parametrize("key", [b"", b"m"])
def test_a_split_at_the_start_of_a_range_is_refused(key: bytes) -> None:
    with pytest.raises(InvalidRequest, match="already starts at this key"):
        split(TWO, key)


@pytest.mark.fault("H9")
def test_a_split_at_the_last_possible_key_leaves_two_ranges_that_are_not_empty() -> None:
    children = split(TWO, b"l\xff").children
    assert [(child.start, child.end) for child in children] == [(b"", b"l\xff"), (b"l\xff", b"m")]
    children = split(TWO, b"m\0").children
    assert [(child.start, child.end) for child in children] == [(b"m", b"m\0"), (b"m\0", b"")]


def test_a_split_at_a_key_that_no_range_may_start_with_is_refused() -> None:
    assert split(TWO, bytes(KEY_BYTES_MAX))
    with pytest.raises(InvalidRequest, match="bytes"):
        split(TWO, bytes(KEY_BYTES_MAX + 1))


def test_a_store_has_only_so_many_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_plan, "RANGES_MAX", 2)
    with pytest.raises(InvalidRequest, match="at most 2 ranges"):
        split(TWO, b"c")


@pytest.mark.fault("H9")
def test_the_last_range_is_merged_with_nothing() -> None:
    with pytest.raises(InvalidRequest, match="no right neighbour"):
        merge_change(TWO, b"x")


def test_a_range_is_moved_only_elsewhere() -> None:
    with pytest.raises(InvalidRequest, match="already owns this range"):
        move_change(TWO, b"c", 0)


def test_a_child_of_a_change_under_way_is_left_alone() -> None:
    under_way = Change(3, "move", (Relative(9, b"m", b"", 0),), (Relative(2, b"m", b"", 1),))
    busy = replace(TWO, changes=(under_way,))
    for plan in (lambda: split(busy, b"x"), lambda: merge_change(busy, b"c"), lambda: move_change(busy, b"x", 0)):
        with pytest.raises(Busy, match="change 3 of segment 2"):
            plan()
    assert split(busy, b"c").parents[0].segment == 1


def test_a_range_that_is_not_on_disk_yet_is_left_alone() -> None:
    route = replace(TWO.map.routes[0], created=False)
    fresh = replace(TWO, map=TWO.map.with_routes([route]))
    with pytest.raises(Busy, match="not created"):
        split(fresh, b"c")
