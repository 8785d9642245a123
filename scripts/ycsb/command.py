"""The command line of the load generator."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
from chosen_cluster import cluster_at
from machine import machine
from rich.console import Console

from shardstore import InvalidRequest
from shardstore.cli.failures import Failed, failures_in_one_line
from shardstore.options import Durability
from ycsb.progress import shown
from ycsb.report import Report
from ycsb.run import Interrupted, run_phase
from ycsb.settings import Phase, Settings, StoreName
from ycsb.table import lines_of
from ycsb.workloads import WORKLOADS, Distribution

OPERATIONS = 100_000
LOAD_BATCH = 1_000
EXIT_WRONG_ANSWERS = 1
EXIT_INTERRUPTED = 130

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _settings(command: _Command) -> _Command:
    """Add the options that have the names of settings of a phase."""
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    distributions = click.Choice([*map(str, Distribution)])
    options: list[tuple[str, dict[str, Any]]] = [
        ("--distribution", {"type": distributions, "help": "[default: that of the workload]"}),
        ("--hot-records", {"help": "Share of the records that are hot, for hotspot."}),
        ("--hot-operations", {"help": "Share of the operations on hot records, for hotspot."}),
        ("--records", {"help": "Records to load."}),
        ("--seconds", {"type": float, "help": "Seconds to run, instead of a number of operations."}),
        ("--fields", {"help": "Fields of a record; a value holds all of them."}),
        ("--field-bytes", {"help": "Bytes of a field."}),
        ("--seed", {"help": "Seed; the same seed gives the same operations."}),
        ("--processes", {"help": "Client processes."}),
        ("--threads", {"help": "Threads of each process."}),
        ("--tasks", {"help": "Asyncio tasks of each process, instead of threads."}),
        ("--batch", {"help": "Operations in one call of the run."}),
        ("--target", {"type": float, "help": "Target of operations per second. [default: no limit]"}),
        ("--timeout", {"help": "Seconds for one call."}),
        ("--verify", {"is_flag": True, "help": "Check every value that is read."}),
        ("--direct/--no-direct", {"help": "Connect to the workers directly, or only to the router."}),
    ]
    for name, given in reversed(options):
        default = defaults[name.split("/")[0].removeprefix("--").replace("-", "_")]
        command = click.option(name, default=default, show_default=default is not None, **given)(command)
    return command


@click.command()
@click.argument("workload", default="a", type=click.Choice(list(WORKLOADS), case_sensitive=False))
@click.option("--phase", default="both", show_default=True, type=click.Choice([*map(str, Phase), "both"]))
@click.option("--operations", type=int, help=f"Operations of the run. [default: {OPERATIONS}, without --seconds]")
@_settings
@click.option("--store", default="shardstore", show_default=True, type=click.Choice([*map(str, StoreName)]))
@click.option(
    "--url", "--redis-url", "url", help="Address of a running cluster or Redis server. [default: a new cluster]"
)
@click.option("--data", type=click.Path(), help="Directory of the new cluster. [default: a temporary directory]")
@click.option("--workers", default=2, show_default=True, help="Worker processes of the new cluster.")
@click.option("--durability", default="group_sync", show_default=True, type=click.Choice([*map(str, Durability)]))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    phase: str, url: str | None, data: str | None, workers: int, durability: str, as_json: bool, **given: Any
) -> None:
    """Load records, then run one of YCSB's core workloads, a to f.

    \b
    Exit codes: 0 done, 1 wrong or missing values, 2 wrong usage, 3 the store cannot be reached or refused,
    130 Ctrl-C. Errors of single operations are counted and listed.
    """
    given["store"] = StoreName(given["store"])
    given["distribution"] = given["distribution"] and Distribution(given["distribution"])
    if given["operations"] is None and given["seconds"] is None:
        given["operations"] = OPERATIONS
    if given["store"] is StoreName.REDIS and url is None:
        raise click.UsageError("--store redis needs the --url of a running server")
    settings = Settings(url or "", **given)
    try:
        settings.check()
    except InvalidRequest as error:
        raise click.UsageError(str(error)) from None
    reports: list[Report] = []
    try:
        with (
            failures_in_one_line(),
            cluster_at(url, data, workers, durability) as found,
        ):
            _run(_phases(dataclasses.replace(settings, url=found), phase), reports, as_json)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    finally:
        if as_json and reports:
            click.echo(json.dumps({"machine": machine(), "phases": [each.to_json() for each in reports]}, indent=2))
    if any(report.wrong_answers for report in reports):
        sys.exit(EXIT_WRONG_ANSWERS)


def _phases(settings: Settings, phase: str) -> Iterator[Settings]:
    if phase != Phase.RUN:
        batch = max(settings.batch, LOAD_BATCH)
        yield dataclasses.replace(settings, phase=Phase.LOAD, batch=batch, target=None)
    if phase != Phase.LOAD:
        yield settings


def _run(phases: Iterator[Settings], reports: list[Report], as_json: bool) -> None:
    """Run the phases, and collect and show the report of each, even of an interrupted one."""
    console = Console(stderr=True)
    for settings in phases:
        interruption = None
        try:
            with shown(settings, console) as on_progress:
                report = run_phase(settings, on_progress)
        except Interrupted as interrupted:
            interruption, report = interrupted, interrupted.report
        reports.append(report)
        for line in lines_of(report):
            click.echo(line, err=as_json)
        if interruption is not None:
            raise interruption
        if settings.phase is Phase.LOAD and report.faults:
            raise Failed("not all records could be loaded, see above: they would be missing in a run")
