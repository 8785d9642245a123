"""A report as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from ycsb.latencies import Latencies
from ycsb.report import Report
from ycsb.settings import Phase

_PERCENTILES = (50, 95, 99, 99.9)
_HEADS = (
    "operation",
    "count",
    "per second",
    "mean us",
    *(f"p{percentile:g} us" for percentile in _PERCENTILES),
    "max us",
)


def lines_of(report: Report) -> Iterator[str]:
    """The settings, a row for each kind of operation, and the faults."""
    yield _title(report)
    rows = [_HEADS]
    for kind, figures in report.kinds.items():
        rate = f"{report.per_second(figures.operations):,.0f}"
        rows.append((kind.label, f"{figures.operations:,}", rate, *_times(figures.latencies)))
        if report.settings.target is not None:
            rows.append(("  service time", "", "", *_times(figures.service)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        yield "  ".join(cells)
    yield (
        f"{report.operations:,} operations in {report.seconds:.2f} s, {report.operations_per_second:,.0f} a second; "
        f"clients used {report.client_cpu_seconds:.2f} s of CPU"
    )
    for kind, faults in report.faults.items():
        for name, count in faults.items():
            yield f"{kind.label}: {count:,} {name}"


def _title(report: Report) -> str:
    settings = report.settings
    what = "load" if settings.phase is Phase.LOAD else f"workload {settings.workload} ({settings.mix.description})"
    runners = f"{settings.tasks} tasks" if settings.tasks else f"{settings.threads} threads"
    parts = [
        f"{settings.store}: {what}",
        f"{settings.records:,} records of {settings.value_bytes:,} bytes",
        f"{settings.processes} processes of {runners}",
        f"batches of {settings.batch:,}",
    ]
    if settings.phase is Phase.RUN:
        parts.insert(1, f"{settings.chosen_distribution} distribution")
    if settings.target is not None:
        parts.append(f"target {settings.target:,.0f} a second (latency counts from the intended start of a call)")
    return ", ".join(parts)


def _times(latencies: Latencies) -> list[str]:
    times_ns = [latencies.mean_ns, *latencies.percentiles_ns(_PERCENTILES), latencies.max_ns]
    return [f"{time_ns / 1_000:,.1f}" for time_ns in times_ns]
