"""The load table: what the router keeps of the workers' reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shardstore.identifiers import Epoch, SegmentId, WorkerId
from shardstore.router import change_plan
from shardstore.router.load_table import LoadTable
from shardstore.router.policies.loads import RangeLoad, WorkerLoad
from shardstore.wire.load_report import LoadReport, RangeReport
from shardstore.wire.route_map import Route, RouteMap, presplit
from shardstore.wire.topology import Change
from tests.unit.router.test_change_plan import TWO

MAP = presplit([b"m"], 2)
WORKERS = [WorkerLoad(0), WorkerLoad(1)]
REPORT = RangeReport(1, 110, 100, 3, 5, 6, 7, 8, 250, 10, 9, [b"a", b"b"], b"c", [b"b"])


def test_policies_see_the_newest_report_of_each_range_in_key_order() -> None:
    table = LoadTable()
    table.note(LoadReport(0, [RangeReport(1, 1, 1, 1, 1)]), MAP)
    table.note(LoadReport(0, [REPORT]), MAP)
    loads = table.store_load(MAP, WORKERS, {2}, 1)
    assert loads.ranges == [
        RangeLoad(1, b"", b"m", 0, 100, 3, 0.25, 7, 10, 9, [b"a", b"b"], b"c", [b"b"], 5),
        RangeLoad(2, b"m", b"", 1, keys=[], cuts=[], changing=True, known=False),
    ]
    assert (loads.changes, loads.workers, loads.is_known) == (1, WORKERS, False)


def test_policies_see_the_keys_of_what_is_kept_together_as_one() -> None:
    table = LoadTable()
    table.note(LoadReport(0, [replace(REPORT, keys=[b"a", b"ba", b"bz", b"c"], cuts=[b"ab", b"bc", b"c"])]), MAP)
    load = table.store_load(MAP, WORKERS, (), 0, (b"b",)).ranges[0]
    assert (load.keys, load.cuts, load.together) == ([b"a", b"b", b"b", b"c"], [b"ab", b"b", b"c"], (b"b",))
    assert list(map(load.can_split_at, (b"b", b"ba", b"c"))) == [True, False, True]


def test_only_the_owner_is_believed() -> None:
    table = LoadTable()
    table.note(LoadReport(1, [REPORT]), MAP)
    table.note(LoadReport(0, [RangeReport(9, 1, 1, 1, 1)]), MAP)
    assert not any(load.known for load in table.store_load(MAP, WORKERS, (), 0).ranges)


CUTS = [b"c", b"e", b"g"]


@pytest.mark.parametrize(
    ("change", "sizes"),
    [
        (change_plan.split_change(TWO, [b"e"], [0, 1]), [500, 500, 80]),
        (change_plan.split_change(TWO, [b"c", b"f", b"h"], [0, 1, 0, 1]), [250, 250, 500, 0, 80]),
        (change_plan.split_change(TWO, [b"h\0"], [0, 1]), [1_000, 0, 80]),
        (change_plan.split_change(TWO, [b"x"], [1, 0]), [1_000, 40, 40]),
        (change_plan.merge_change(TWO, b"a"), [1_080]),
        (change_plan.move_change(TWO, b"a", 1), [1_000, 80]),
    ],
    ids=["in two", "in four", "behind the last key", "without cuts", "merge", "move"],
)
def test_until_a_child_has_files_of_its_own_its_share_of_the_parents_counts(change: Change, sizes: list[int]) -> None:
    table = LoadTable()
    with_files = TWO.map
    table.note(LoadReport(0, [RangeReport(1, 1_000, 1_000, 9, 5, busy_permille=400, last=b"h", cuts=CUTS)]), with_files)
    table.note(LoadReport(1, [RangeReport(2, 80, 80, 1, 5)]), with_files)
    table.inherit(change)
    parents = {parent.segment for parent in change.parents}
    children = [Route(each.start, SegmentId(each.segment), WorkerId(each.worker), Epoch(1)) for each in change.children]
    changed = with_files.with_replaced(parents, children)
    loads = table.store_load(changed, WORKERS, (), 1)
    assert [load.size_bytes for load in loads.ranges] == sizes
    assert sum(load.busy for load in loads.ranges) == pytest.approx(0.4)
    assert loads.is_known

    child = change.children[0]
    inherited = size_of(child.segment, table, changed)
    table.note(LoadReport(child.worker, [RangeReport(child.segment, 7, 7, 1, 0)]), changed)
    assert size_of(child.segment, table, changed) == inherited + 7, "only the bytes written to it since"
    created = changed.with_routes([replace(route, created=True) for route in changed])
    table.note(LoadReport(child.worker, [RangeReport(child.segment, 9, 9, 1, 2)]), created)
    assert size_of(child.segment, table, created) == 9


def size_of(segment: int, table: LoadTable, route_map: RouteMap) -> int:
    ranges = table.store_load(route_map, WORKERS, (), 1).ranges
    return next(load.size_bytes for load in ranges if load.segment == segment)


def test_who_has_the_right_end_of_a_parent_is_filled_there_from_the_beginning() -> None:
    table = LoadTable()
    filled = RangeReport(1, 1_000, 1_000, 9, 5, puts_per_s=70, appends_per_s=60, last=b"h", cuts=CUTS)
    table.note(LoadReport(0, [filled, RangeReport(2, 80, 80, 1, 5)]), TWO.map)
    change = change_plan.split_change(TWO, [b"c", b"h\0"], [0, 1, 1])
    table.inherit(change)
    children = [Route(each.start, SegmentId(each.segment), WorkerId(each.worker), Epoch(1)) for each in change.children]
    split = TWO.map.with_replaced({1}, children)
    assert [load.appends_per_s for load in table.store_load(split, WORKERS, (), 1).ranges] == [0, 0, 60, 0]
    table.note(LoadReport(1, [RangeReport(children[2].segment, 0, 0, 0, 0, puts_per_s=9, appends_per_s=9)]), split)
    assert [load.appends_per_s for load in table.store_load(split, WORKERS, (), 1).ranges] == [0, 0, 60, 0], (
        "the measurement is too short"
    )
    report = RangeReport(children[2].segment, 0, 0, 0, 5, puts_per_s=9, appends_per_s=9)
    table.note(LoadReport(1, [report]), split)
    assert [load.appends_per_s for load in table.store_load(split, WORKERS, (), 1).ranges] == [0, 0, 9, 0]
