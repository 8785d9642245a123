"""What the workers reported last of their ranges, and the view of it that policies take."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shardstore.load_report import WHOLE_PERMILLE, LoadReport, RangeReport
from shardstore.route_map import Route, RouteMap
from shardstore.router.policies.loads import RangeLoad, StoreLoad, WorkerLoad


class LoadTable:
    """The newest report of each range. Of one that no report names, the policies see zeros, and leave it alone."""

    def __init__(self) -> None:
        self._reports: dict[int, RangeReport] = {}

    def note(self, report: LoadReport, route_map: RouteMap) -> None:
        """Take a report in, as far as it is about ranges that its worker owns."""
        for of_range in report.ranges:
            route = route_map.route_of_segment(of_range.segment)
            if route is not None and route.worker == report.worker:
                self._reports[of_range.segment] = of_range

    def of(self, segment: int) -> RangeReport | None:
        """The newest report of a range."""
        return self._reports.get(segment)

    def forget_worker(self, worker: int, route_map: RouteMap) -> None:
        """A worker is gone: what it measured says nothing of its next life."""
        for route in route_map:
            if route.worker == worker:
                self._reports.pop(route.segment, None)

    def loads(
        self, route_map: RouteMap, workers: Sequence[WorkerLoad], changing: Collection[int], changes: int
    ) -> StoreLoad:
        """The store as policies see it. `changing`: segments of the map that take part in one of `changes` changes.

        Reports of segments that are not in the map any more are dropped.
        """
        self._reports = {
            segment: report for segment, report in self._reports.items() if route_map.route_of_segment(segment)
        }
        ends = [*route_map.starts[1:], b""]
        ranges = [self._of_range(route, end, changing) for route, end in zip(route_map, ends, strict=True)]
        return StoreLoad(ranges, workers, changes)

    def _of_range(self, route: Route, end: bytes, changing: Collection[int]) -> RangeLoad:
        report = self._reports.get(route.segment) or RangeReport(route.segment, 0, 0, 0)
        return RangeLoad(
            route.segment,
            route.start,
            end,
            route.worker,
            report.size_bytes,
            report.entries,
            report.busy_permille / WHOLE_PERMILLE,
            report.operations_per_s,
            report.puts_per_s,
            report.appends_per_s,
            tuple(report.keys),
            report.last,
            report.middle,
            report.measured_ns,
            route.segment in changing,
        )
