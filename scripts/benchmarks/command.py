"""The command line of bench.py."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from machine import copied_mb_per_s, machine, sync_p50_us, written_mb_per_s
from rich.console import Console

from benchmarks import peers
from benchmarks.clusters import WrongAnswer
from benchmarks.plot import draw
from benchmarks.progress import MeasuringProgress
from benchmarks.records import SHAPES
from benchmarks.report import Report, in_one_line
from benchmarks.settings import Settings
from benchmarks.timeline import Timeline, measure_timeline
from benchmarks.workloads import NAMES, descriptions, measurements
from shardstore import ShardstoreError
from shardstore.cli.failures import EXIT_FAILED, failures_in_one_line

ALL = "all"
STANDARD_OUTPUT = "-"
QUICK_RECORDS = 1_000
FILE_COLUMNS = 190
"""Width of the tables when the output is not a terminal."""


class _Command(click.Command):
    """A command whose help describes the workloads."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each workload measures."""
        with formatter.section("Workloads"):
            formatter.write_dl(list(descriptions().items()))


@click.command(cls=_Command)
@click.argument("names", nargs=-1, metavar="[WORKLOAD]...")
@click.option("--n", default=2_000_000, show_default=True, type=click.IntRange(1_000), help="Records.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Worker processes.")
@click.option(
    "--runs", default=3, show_default=True, type=click.IntRange(1), help="Runs of each workload; figures are medians."
)
@click.option("--quick", is_flag=True, help=f"Only to see whether it works: {QUICK_RECORDS} records, one run.")
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    default=list(SHAPES),
    show_default=True,
    type=click.Choice(list(SHAPES)),
    help="Shapes of the keys and values.",
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, writable=True),
    help="Directory for the stores, on the disk to be measured. [default: the temporary directory]",
)
@click.option(
    "--peers",
    "chosen_peers",
    is_flag=False,
    flag_value=ALL,
    help="Measure other stores too: those named, as in lmdb,redis, or all that are installed.",
)
@click.option(
    "--json",
    "json_file",
    is_flag=False,
    flag_value=STANDARD_OUTPUT,
    help="Write JSON to FILE; without FILE, print only JSON.",
)
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(),
    help="Also measure a put load over time, and draw everything into this file.",
)
def main(
    names: tuple[str, ...],
    n: int,
    workers: int,
    runs: int,
    quick: bool,
    shapes: tuple[str, ...],
    data: str | None,
    chosen_peers: str | None,
    json_file: str | None,
    plot_file: str | None,
) -> None:
    """Measure the named workloads, or all, and compare them with their limits and, on request, with other stores."""
    _check_names(names, json_file)
    if quick:
        n, runs = QUICK_RECORDS, 1
    shown: dict[str, str | int] = {"n": n, "workers": workers, "runs": runs, "shapes": ", ".join(shapes)}
    shown["data"] = data or tempfile.gettempdir()
    setups = _chosen(chosen_peers)
    report = Report(machine(), shown, setups, peers.missing() if chosen_peers else {})
    timeline: Timeline | None = None
    with failures_in_one_line(), MeasuringProgress() as progress:
        chosen_shapes = tuple(SHAPES[name] for name in shapes)
        settings = Settings(n, workers, runs, chosen_shapes, data, tuple(setups), progress.say, report.fail)
        report.machine["fdatasync_p50_us_before"] = sync_p50_us(settings.data)
        report.machine["load_before"] = f"{os.getloadavg()[0]:.1f}"
        report.machine["disk_write_mb_per_s"] = written_mb_per_s(settings.data)
        report.machine["memory_copy_mb_per_s"] = copied_mb_per_s()
        _measure(settings, names, report, progress)
        if plot_file:
            timeline = measure_timeline(settings)
        report.machine["fdatasync_p50_us_after"] = sync_p50_us(settings.data)
    if plot_file and timeline:
        draw(plot_file, timeline, report.rows, in_one_line(report.machine))
    _publish(report, json_file)
    sys.exit(EXIT_FAILED if report.failures else 0)


def _measure(settings: Settings, names: Sequence[str], report: Report, progress: MeasuringProgress) -> None:
    """Measure all rows that can be measured; a failure does not affect the others."""
    planned = list(measurements(settings, names))
    progress.expect(len(planned))
    for measurement in planned:
        try:
            report.rows.extend(measurement.rows())
        except (WrongAnswer, ShardstoreError) as error:
            report.fail(measurement.name, error)
        progress.advance()


def _check_names(names: Sequence[str], json_file: str | None) -> None:
    unknown = set(names) - set(NAMES)
    if unknown:
        raise click.UsageError(f"unknown workload {', '.join(sorted(unknown))}; the workloads are {', '.join(NAMES)}")
    if json_file in NAMES:
        raise click.UsageError(f"--json takes {json_file} as its file: put --json after the workloads")


def _chosen(chosen_peers: str | None) -> dict[str, str]:
    """The setup of each peer to run. A named peer must be installed; `all` means all that are installed."""
    installed = {peer.name: peer.setup for peer in peers.installed()}
    if chosen_peers is None:
        return {}
    if chosen_peers == ALL:
        return installed
    for name in chosen_peers.split(","):
        if name not in installed:
            remedy = peers.missing().get(name, f"the peers are {', '.join(peers.PEERS)}")
            raise click.UsageError(f"peer {name} is not available: {remedy}")
    return {name: installed[name] for name in chosen_peers.split(",")}


def _publish(report: Report, json_file: str | None) -> None:
    text = json.dumps(report.to_json(), indent=2)
    if json_file == STANDARD_OUTPUT:
        click.echo(text)
        return
    if json_file:
        Path(json_file).write_text(text + "\n")
    console = Console()
    if not console.is_terminal:
        console.width = FILE_COLUMNS
    report.show(console)
