"""The figures of one phase, to be printed or stored as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ycsb.answers import wrong_answers
from ycsb.latencies import Latencies
from ycsb.measured import Figures, Measured, Point
from ycsb.settings import Settings
from ycsb.workloads import Kind

PERCENTILES = (0, 10, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100)


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one phase.

    kinds     the figures of each kind of operation
    faults    errors and wrong data of each kind, by name; errors count calls, wrong data counts values
    points    one for each second
    seconds   from the common start to the end of the last call
    """

    settings: Settings
    seconds: float
    kinds: Mapping[Kind, Figures]
    faults: Mapping[Kind, Mapping[str, int]]
    points: list[Point]
    client_cpu_seconds: float

    @property
    def operations(self) -> int:
        """The number of operations that succeeded."""
        return sum(figures.operations for figures in self.kinds.values())

    @property
    def operations_per_second(self) -> float:
        """The rate of all kinds together."""
        return self.per_second(self.operations)

    @property
    def wrong_answers(self) -> int:
        """The number of missing values, values never written, and wrong scans."""
        return wrong_answers(self.faults.values())

    def per_second(self, operations: int) -> float:
        """The rate of `operations` operations over the whole phase."""
        return operations / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """The report in plain values. Times are in microseconds, histograms in the standard encoding, in ns."""
        return {
            "settings": self.settings.to_json(),
            "seconds": self.seconds,
            "operations": self.operations,
            "operations_per_second": self.operations_per_second,
            "client_cpu_seconds": self.client_cpu_seconds,
            "wrong_answers": self.wrong_answers,
            "kinds": {kind.label: self._kind_to_json(figures) for kind, figures in self.kinds.items()},
            "faults": {kind.label: dict(faults) for kind, faults in self.faults.items()},
            "series": [self._point_to_json(point) for point in self.points],
        }

    def _kind_to_json(self, figures: Figures) -> dict[str, Any]:
        return {
            "operations": figures.operations,
            "operations_per_second": self.per_second(figures.operations),
            "latency": _latencies_to_json(figures.latencies),
            "service": _latencies_to_json(figures.service),
        }

    def _point_to_json(self, point: Point) -> dict[str, Any]:
        width = min(1.0, self.seconds - point.second)
        return {
            "second": point.second,
            "operations": point.operations,
            "operations_per_second": point.operations / width if width > 0 else 0.0,
            "p50_us": point.p50_ns / 1_000,
            "p99_us": point.p99_ns / 1_000,
            "faults": point.faults,
        }


def _latencies_to_json(latencies: Latencies) -> dict[str, Any]:
    values = zip(PERCENTILES, latencies.percentiles_ns(PERCENTILES), strict=True)
    return {
        "calls": latencies.count,
        "mean_us": latencies.mean_ns / 1_000,
        "percentiles_us": {str(percentile): value / 1_000 for percentile, value in values},
        "histogram": latencies.encode().decode(),
    }


def report_of(settings: Settings, measured: Measured, client_cpu_seconds: float) -> Report:
    """The report of a phase."""
    faults: dict[Kind, Counter[str]] = {}
    for (kind, name), count in sorted(measured.faults.items()):
        faults.setdefault(Kind(kind), Counter())[name] = count
    kinds = {Kind(kind): measured.kinds[kind] for kind in sorted(measured.kinds)}
    return Report(settings, measured.seconds, kinds, faults, measured.points(), client_cpu_seconds)
