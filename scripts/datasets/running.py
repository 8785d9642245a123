"""A whole run: finds the cluster, loads, compares, and sets the exit code."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice

import click
from chosen_cluster import cluster_at
from rich.console import Console
from status_line import in_units

from datasets.display import Display
from datasets.inputs import Input
from datasets.loading import SHOWN_MAX, Loading, Totals, marks_of, remove_marks
from datasets.patient_client import PatientClient
from datasets.records import BadData
from datasets.verifying import Verifying
from shardstore import Unavailable, connect
from shardstore.cli.failures import failures_in_one_line
from shardstore.system.running_cluster import running_on

EXIT_DIFFERENT = 1
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of all commands, named like their options."""

    url: str | None
    data: str
    timeout: float
    skip_bad: bool
    restart: bool
    verify: bool


def run(sources: Sequence[Input], settings: Settings) -> None:
    """Load and compare; exits with a code other than 0 unless all went well."""
    if settings.verify and any(source.identity is None for source in sources):
        raise click.UsageError("--verify reads the input twice, which is impossible with a pipe or the standard input")
    display = Display(Console(stderr=True))
    try:
        with (
            failures_in_one_line(),
            _cluster(settings, display) as url,
            connect(url, timeout=settings.timeout) as db,
        ):
            same = _load_and_compare(sources, settings, PatientClient(db, settings.timeout, display.say), display)
    except BadData as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        display.say("interrupted")
        sys.exit(EXIT_INTERRUPTED)
    if not same:
        sys.exit(EXIT_DIFFERENT)


@contextmanager
def _cluster(settings: Settings, display: Display) -> Iterator[str]:
    """The url of the given cluster, of the one running on the data directory, or of one that ends with the load."""
    url = settings.url
    if url is None:
        with suppress(Unavailable):
            url = running_on(settings.data).url
    if url is None:
        display.say(f"no cluster is running on {settings.data}: starting one for this load")
    with cluster_at(url, settings.data, workers=None) as chosen:
        yield chosen


def _load_and_compare(sources: Sequence[Input], settings: Settings, db: PatientClient, display: Display) -> bool:
    started = time.perf_counter()
    marks = marks_of(sources, db, settings.restart)
    loading = Loading(db, display, settings.skip_bad)
    try:
        for source, mark in zip(sources, marks, strict=True):
            loading.load(source, mark)
    except BaseException:
        display.say(_how_far(loading.totals.records, again=all(source.identity is not None for source in sources)))
        raise
    remove_marks(sources, db)
    _print_totals(loading.totals, db.repeats, time.perf_counter() - started)
    return not settings.verify or _same(sources, db, display)


def _how_far(records: int, again: bool) -> str:
    """Says what an interrupted load has done. `again`: whether it can be continued."""
    if not records:
        return "stopped: no record of this run is certain to be loaded"
    loaded = f"{records:,} record{' of this run is' if records == 1 else 's of this run are'} certain to be loaded"
    return f"stopped: {loaded}{'; the same command continues from there' if again else ''}"


def _print_totals(totals: Totals, repeats: int, seconds: float) -> None:
    click.echo(
        f"loaded {totals.records:,} records, {in_units(totals.record_bytes)} of keys and values, in {seconds:.2f} s: "
        f"{totals.records / seconds:,.0f} a second; {repeats:,} calls retried, {totals.skipped:,} bad records skipped"
    )


def _same(sources: Sequence[Input], db: PatientClient, display: Display) -> bool:
    """Compare all inputs, and print the differences. Returns whether there are none."""
    verifying = Verifying(db, display)
    for source in sources:
        verifying.compare(source)
    different = verifying.differences
    for key, difference in islice(different.items(), SHOWN_MAX):
        click.echo(f"{difference}: {key.decode('utf-8', 'backslashreplace')}")
    click.echo(
        f"compared {verifying.records:,} records, {verifying.replaced:,} of them replaced by later ones of their key: "
        + (f"{len(different):,} are different" if different else "all others are there, byte for byte")
    )
    return not different
