"""What the router keeps of the workers' reports."""

from __future__ import annotations

from shardstore.load_report import LoadReport, RangeReport
from shardstore.route_map import presplit
from shardstore.router.load_table import LoadTable
from shardstore.router.policies.loads import RangeLoad, WorkerLoad

MAP = presplit([b"m"], 2)
WORKERS = [WorkerLoad(0), WorkerLoad(1)]
REPORT = RangeReport(1, 100, 3, 5, 6, 7, 8, 250, 10, 9, [b"a", b"b"], b"c", b"b")


def test_policies_see_the_newest_report_of_each_range_in_key_order() -> None:
    table = LoadTable()
    table.note(LoadReport(0, [RangeReport(1, 1, 1, 1)]), MAP)
    table.note(LoadReport(0, [REPORT]), MAP)
    loads = table.loads(MAP, WORKERS, {2}, 1)
    assert loads.ranges == [
        RangeLoad(1, b"", b"m", 0, 100, 3, 0.25, 7, 10, 9, (b"a", b"b"), b"c", b"b", 5),
        RangeLoad(2, b"m", b"", 1, changing=True),
    ]
    assert (loads.changes, loads.workers) == (1, WORKERS)


def test_only_the_owner_is_believed() -> None:
    table = LoadTable()
    table.note(LoadReport(1, [REPORT]), MAP)
    table.note(LoadReport(0, [RangeReport(9, 1, 1, 1)]), MAP)
    assert all(load.size_bytes == 0 for load in table.loads(MAP, WORKERS, (), 0).ranges)


def test_a_worker_that_went_takes_its_figures_with_it() -> None:
    table = LoadTable()
    table.note(LoadReport(0, [REPORT]), MAP)
    table.note(LoadReport(1, [RangeReport(2, 7, 1, 1)]), MAP)
    table.forget_worker(0, MAP)
    assert [load.size_bytes for load in table.loads(MAP, WORKERS, (), 0).ranges] == [0, 7]
