"""The latest load reports of all ranges, and the store load that policies compute with."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from typing import NamedTuple

from shardstore.router.policies.loads import RangeLoad, StoreLoad, WorkerLoad
from shardstore.router.policies.together import for_splits
from shardstore.wire.load_report import WHOLE_PERMILLE, LoadReport, RangeReport
from shardstore.wire.route_map import Route, RouteMap
from shardstore.wire.topology import Change, Relative


class InheritedLoad(NamedTuple):
    """What a child inherits: bytes, share of a worker's time, and puts at the right end, from its parents' reports."""

    size_bytes: int
    busy: float
    appends_per_s: int


class LoadTable:
    """The latest report of each range. A range without a report has zeros, and is not `known`.

    The reports of a child include what it inherits only once it has files of its own. Until then the table adds the
    child's share of its parents' reports, so that no bytes or load seem to disappear while ranges change.
    """

    def __init__(self) -> None:
        self._reports: dict[int, RangeReport] = {}
        self._inherited: dict[int, InheritedLoad] = {}

    def note(self, report: LoadReport, route_map: RouteMap) -> None:
        """Record a report, except for ranges that its worker does not own."""
        for of_range in report.ranges:
            route = route_map.route_of_segment(of_range.segment)
            if route is not None and route.worker == report.worker:
                self._reports[of_range.segment] = of_range
                if route.created:
                    self._inherited.pop(of_range.segment, None)

    def inherit(self, change: Change) -> None:
        """Compute from the reports of the parents what each child of a change inherits."""
        for child in change.children:
            shares = [
                (parent.segment, self._share(parent, child, change)) for parent in change.parents_over(child.key_range)
            ]
            if not all(self._is_known(segment) for segment, _ in shares):
                continue
            size_bytes = sum(self._size_bytes(segment) * share for segment, share in shares)
            busy = sum(self._busy(segment) * share for segment, share in shares)
            appends = sum(self._appends(segment) for segment, _ in shares if self._ends_with(segment, child, change))
            self._inherited[child.segment] = InheritedLoad(int(size_bytes), busy, appends)

    def report_of(self, segment: int) -> RangeReport | None:
        """The latest report of a range; None if there is none."""
        return self._reports.get(segment)

    def store_load(
        self,
        route_map: RouteMap,
        workers: Sequence[WorkerLoad],
        changing: Collection[int],
        changes: int,
        together: Sequence[bytes] = (),
    ) -> StoreLoad:
        """The load of the store, for the policies. Drops what is known of segments that are no longer in the map.

        `changing` are the segments that take part in a change; `changes` is the number of changes under way; `together`
        are the prefixes whose keys are kept together.
        """
        for known in (self._reports, self._inherited):
            for segment in [segment for segment in known if not route_map.route_of_segment(segment)]:
                del known[segment]
        ends = [*route_map.starts[1:], b""]
        ranges = [self._of_range(route, end, changing, together) for route, end in zip(route_map, ends, strict=True)]
        return StoreLoad(ranges, workers, changes)

    def _of_range(self, route: Route, end: bytes, changing: Collection[int], together: Sequence[bytes]) -> RangeLoad:
        segment = route.segment
        report = self._reports.get(segment) or _NOTHING
        return RangeLoad(
            segment,
            route.start,
            end,
            route.worker,
            self._size_bytes(segment),
            report.entries,
            self._busy(segment),
            report.operations_per_s,
            max(report.puts_per_s, self._appends(segment)),
            self._appends(segment),
            for_splits(together, report.keys),
            report.last,
            for_splits(together, report.cuts),
            report.measured_ns,
            segment in changing,
            self._is_known(segment),
            together,
        )

    def _is_known(self, segment: int) -> bool:
        return segment in self._reports or segment in self._inherited

    def _size_bytes(self, segment: int) -> int:
        report = self._reports.get(segment) or _NOTHING
        inherited = self._inherited.get(segment)
        return report.live_bytes + (inherited.size_bytes if inherited else 0)

    def _busy(self, segment: int) -> float:
        report = self._reports.get(segment) or _NOTHING
        inherited = self._inherited.get(segment)
        return inherited.busy if inherited and not report.measured_ns else report.busy_permille / WHOLE_PERMILLE

    def _appends(self, segment: int) -> int:
        report = self._reports.get(segment) or _NOTHING
        inherited = self._inherited.get(segment)
        return inherited.appends_per_s if inherited and not report.measured_ns else report.appends_per_s

    def _ends_with(self, segment: int, child: Relative, change: Change) -> bool:
        """Whether the child ends at the same key as this parent."""
        return any(parent.segment == segment and parent.end == child.end for parent in change.parents)

    def _share(self, parent: Relative, child: Relative, change: Change) -> float:
        """The share of the parent's bytes that lie in the child, by the parent's cuts; without cuts, an equal share."""
        if len(change.children) == 1:
            return 1.0
        report = self._reports.get(parent.segment) or _NOTHING
        if not report.cuts:
            return 1 / len(change.children)
        pieces = len(report.cuts) + 1

        def pieces_below(key: bytes) -> int:
            return pieces if key >= max(report.last, report.cuts[-1]) else bisect_right(report.cuts, key)

        first = pieces_below(child.start) if child.start > parent.start else 0
        last = pieces_below(child.end) if child.end != parent.end else pieces
        return (last - first) / pieces


_NOTHING = RangeReport(0, 0, 0, 0, 0)
