"""The report of a run, as two printed tables and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.processes import KINDS, SERVER, cpu_figure
from benchmarks.targets import Comparison, Row, beside_the_same_peers, comparisons
from benchmarks.timing import Figures

UNITS = {
    "per_second": "/s",
    "per_busy_second": "/s",
    "p50_us": "us",
    "p99_us": "us",
    "max_us": "us",
    "bytes_per_entry": "bytes",
    "bytes_per_byte": "",
}


@dataclass(slots=True)
class Report:
    """All results of a run. `peers` gives the setup of each peer, `missing_peers` how to install the others."""

    machine: dict[str, str | int]
    settings: dict[str, str | int]
    peers: Mapping[str, str]
    missing_peers: Mapping[str, str]
    rows: list[Row] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """The reasons why something could not be measured, by its name."""

    def fail(self, what: str, error: Exception) -> None:
        """Record that something could not be measured."""
        self.failures[what] = f"{type(error).__name__}: {error}"

    def to_json(self) -> dict[str, Any]:
        """The report as plain values by name."""
        plain = dataclasses.asdict(self)
        for row, measured in zip(plain["rows"], self.rows, strict=True):
            row["comparisons"] = [
                dataclasses.asdict(comparison) | {"reached": comparison.reached} for comparison in comparisons(measured)
            ]
        return plain

    def show(self, console: Console) -> None:
        """Print the whole report."""
        for facts in (self.machine, self.settings):
            console.print(in_one_line(facts), soft_wrap=True)
        for name, setup in self.peers.items():
            console.print(f"{name}: {setup}", soft_wrap=True)
        for name, remedy in self.missing_peers.items():
            console.print(f"{name} is not installed: {remedy}", soft_wrap=True)
        console.print(figures_table(self.rows))
        console.print(comparison_table(self.rows))
        if self.peers:
            console.print(peers_table(self.rows))
        for name, reason in self.failures.items():
            console.print(f"{name} failed: {reason}", soft_wrap=True)


def in_one_line(facts: Mapping[str, str | int]) -> str:
    """The facts with their names, in one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def figures_table(rows: Iterable[Row]) -> Table:
    """The figures, one line for each row; s/M means CPU seconds per million keys."""
    table = _table("workload", "shape", "way")
    for heading in (
        "per second",
        "settled /s",
        "p50 us",
        "p99 us",
        "max us",
        "bytes/entry",
        "bytes/byte",
        "in overlays",
    ):
        table.add_column(heading, justify="right")
    for kind in KINDS:
        table.add_column(f"{kind} s/M", justify="right")
    table.add_column("not default")
    for row in rows:
        figures = row.figures
        table.add_row(
            *(row.workload, row.shape, row.way),
            *(number(figures, name) for name in ("per_second", "settled_per_second", "p50_us", "p99_us", "max_us")),
            number(figures, "bytes_per_entry"),
            number(figures, "bytes_per_byte"),
            number(figures, "overlay_share"),
            *(number(figures, cpu_figure(kind)) for kind in KINDS),
            row.options,
        )
    return table


def comparison_table(rows: Iterable[Row]) -> Table:
    """Compares each row with its limits and with the peers; rows with the same peers list them once."""
    table = _table("workload", "shape", "way", "compared with")
    for heading in ("its figure", "ratio", "target"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for group in beside_the_same_peers(rows):
        for place, row in enumerate(group):
            for comparison in comparisons(row):
                if place and comparison.against in row.peers:
                    continue
                theirs = f"{rounded(comparison.theirs)} {UNITS[comparison.figure]}"
                target, verdict = target_words(comparison)
                names = (row.workload, row.shape, row.way, comparison.against)
                table.add_row(*names, theirs, f"{comparison.ratio:.2f}", target, verdict)
    return table


def peers_table(rows: Iterable[Row]) -> Table:
    """The figures of the peers; s/M means CPU seconds per million keys, of the process that calls and of the server."""
    table = _table("workload", "shape", "way", "peer")
    for heading in ("per second", "p50 us", "p99 us", "bytes/entry", "client s/M", "server s/M"):
        table.add_column(heading, justify="right")
    for group in beside_the_same_peers(rows):
        row = group[0]
        for name, figures in row.peers.items():
            table.add_row(
                *(row.workload, row.shape, row.way if len(group) == 1 else "", name),
                *(number(figures, name) for name in ("per_second", "p50_us", "p99_us", "bytes_per_entry")),
                *(number(figures, cpu_figure(kind)) for kind in ("client", SERVER)),
            )
    return table


def target_words(comparison: Comparison) -> tuple[str, str]:
    """The target of a comparison and whether it is reached, in words; empty without a target."""
    if comparison.target is None:
        return "", ""
    bound = "at most" if comparison.at_most else "at least"
    return f"{bound} {comparison.target:.2f}", "reached" if comparison.reached else "missed"


def number(figures: Figures, name: str) -> str:
    """A figure as text; empty if it was not measured."""
    return rounded(figures[name]) if name in figures else ""


def rounded(value: float) -> str:
    """Three significant digits, or a whole number from 100 on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table
