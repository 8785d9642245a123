"""Plots a run: throughput and p99 over time with drains marked, and below them the store compared with its peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure

from benchmarks.targets import Row, beside_the_same_peers, compared_figure
from benchmarks.timeline import CALL_ENTRIES, Drain, Timeline, bins

# The colours of Okabe and Ito, which can be distinguished with every kind of colour blindness.
BLUE, VERMILION, ORANGE = "#0072B2", "#D55E00", "#E69F00"
GREY, SHADE = "#9A9A9A", "#F0F0F0"
BINS_MAX = 60
CALLS_A_BIN = 20
PANELS_A_LINE = 3
WIDTH_INCHES = 11.0
TIMELINE_INCHES = 5.0
PANELS_INCHES = 2.6
SCALES = {
    "bytes_per_entry": (1.0, "bytes, less is better"),
    "per_second": (1e-6, "million a second"),
    "p50_us": (1.0, "p50 in µs, less is better"),
}


@dataclass(frozen=True, slots=True)
class Panel:
    """The bars of one workload: names and values of the store, then of the peers, best first."""

    title: str
    unit: str
    ours: list[tuple[str, float]]
    peers: list[tuple[str, float]]


def draw(path: str, timeline: Timeline, rows: Sequence[Row], caption: str) -> None:
    """Write the plot; the extension of the file name selects the format."""
    panels = panels_of(rows)
    heights = [TIMELINE_INCHES, *([-(-len(panels) // PANELS_A_LINE) * PANELS_INCHES] if panels else [])]
    figure = Figure(figsize=(WIDTH_INCHES, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
    _draw_timeline(parts[0, 0], timeline)
    if panels:
        _draw_panels(parts[1, 0], panels)
    figure.supxlabel(caption, fontsize=8, color="dimgrey")
    figure.savefig(path, dpi=150)


def panels_of(rows: Sequence[Row]) -> list[Panel]:
    """A panel for each workload that has figures of peers, or for each row with peers of its own."""
    return [
        _panel(f"{group[0].workload}, {group[0].shape}", group)
        for group in beside_the_same_peers(rows)
        if group[0].peers
    ]


def _panel(title: str, rows: Sequence[Row]) -> Panel:
    peers = rows[0].peers
    figure = compared_figure(rows[0].figures, next(iter(peers.values())))
    scale, unit = SCALES[figure]
    return Panel(
        title,
        unit,
        [(row.way, row.figures[figure] * scale) for row in rows],
        sorted(
            ((name, figures[figure] * scale) for name, figures in peers.items()),
            key=lambda bar: bar[1],
            reverse=figure == "per_second",
        ),
    )


def _draw_timeline(part: SubFigure, timeline: Timeline) -> None:
    throughput, tail, drains = part.subplots(3, 1, sharex=True, height_ratios=[4, 4, 1])
    points = bins(timeline.calls, max(1, min(BINS_MAX, len(timeline.calls) // CALLS_A_BIN)))
    seconds = [point.middle_seconds for point in points]
    throughput.plot(seconds, [point.keys_per_second / 1e6 for point in points], color=BLUE, linewidth=1.8)
    throughput.set_ylabel("million keys a second")
    throughput.set_title(f"put_many in calls of {CALL_ENTRIES:,}, while workers drain", loc="left", fontsize=11)
    late = [(point.middle_seconds, point.p99_ms) for point in points if point.p99_ms is not None]
    tail.plot(*zip(*late, strict=True), color=VERMILION, linewidth=1.8)
    tail.set_ylabel("p99 of a call in ms")
    for axes in (throughput, tail, drains):
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        _tidy(axes)
        for drain in timeline.drains:
            axes.axvspan(drain.begin_seconds, drain.end_seconds, color=SHADE, linewidth=0, zorder=0)
    _draw_drains(drains, timeline.drains)


def _draw_drains(axes: Axes, drains: Sequence[Drain]) -> None:
    """Draw a line for each worker, with a bar for each of its drains."""
    workers = sorted({drain.worker for drain in drains})
    for line, worker in enumerate(workers):
        spans = [(drain.begin_seconds, drain.seconds) for drain in drains if drain.worker == worker]
        axes.broken_barh(spans, (line - 0.35, 0.7), facecolors=ORANGE)
    axes.set_ylim(-0.6, max(1, len(workers)) - 0.4)
    axes.set_yticks(range(len(workers)), [f"worker {worker}" for worker in workers])
    axes.set_ylabel("drains")
    axes.set_xlabel("seconds")


def _draw_panels(part: SubFigure, panels: Sequence[Panel]) -> None:
    lines = -(-len(panels) // PANELS_A_LINE)
    places = list(part.subplots(lines, PANELS_A_LINE, squeeze=False).flat)
    for axes, panel in zip(places, panels, strict=False):
        names, values = zip(*panel.ours, *panel.peers, strict=True)
        colours = [BLUE] * len(panel.ours) + [GREY] * len(panel.peers)
        labels = [f"shardstore, {name}" for name, _ in panel.ours] + list(names[len(panel.ours) :])
        drawn = axes.barh(range(len(values)), values, color=colours)
        axes.bar_label(drawn, labels=[f"{value:,.3g}" for value in values], padding=2, fontsize=7)
        axes.set_yticks(range(len(values)), labels, fontsize=8)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_xlabel(panel.unit, fontsize=8)
        axes.set_title(panel.title, loc="left", fontsize=10)
        _tidy(axes)
    for axes in places[len(panels) :]:
        axes.set_visible(False)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
