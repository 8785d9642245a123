"""The operator's commands: they show and change the ranges and workers of a running cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from shardstore.cli.connection import Form, with_client
from shardstore.cli.help_texts import Command, Group

if TYPE_CHECKING:
    from shardstore.client.blocking.client import Client
    from shardstore.wire.admin_messages import PlannedChange, RangeRow

_dry_run = click.option("--dry-run", is_flag=True, help="Only report what would be done.")
_HEADINGS = ("start", "end", "segment", "worker", "epoch", "bytes", "ops/s", "stage")


@click.command(cls=Command)
@click.argument("key")
@_dry_run
@with_client
def split(db: Client, form: Form, timeout: float, key: str, dry_run: bool) -> None:
    """Split the range that contains KEY in two. KEY becomes the first key of the second."""
    _show(form, db.admin.split(form.to_bytes(key), dry_run=dry_run, timeout=timeout), dry_run)


@click.command(cls=Command)
@click.argument("key")
@_dry_run
@with_client
def merge(db: Client, form: Form, timeout: float, key: str, dry_run: bool) -> None:
    """Merge the range that contains KEY with its right neighbour."""
    _show(form, db.admin.merge(form.to_bytes(key), dry_run=dry_run, timeout=timeout), dry_run)


@click.command(cls=Command)
@click.argument("key")
@click.option("--to", required=True, type=int, metavar="WORKER", help="Number of the new owner.")
@_dry_run
@with_client
def move(db: Client, form: Form, timeout: float, key: str, to: int, dry_run: bool) -> None:
    """Move the range that contains KEY to another worker."""
    _show(form, db.admin.move(form.to_bytes(key), to, dry_run=dry_run, timeout=timeout), dry_run)


@click.command(cls=Command)
@_dry_run
@with_client
def rebalance(db: Client, form: Form, timeout: float, dry_run: bool) -> None:
    """Move ranges so that all workers have about equal load."""
    _show(form, db.admin.rebalance(dry_run=dry_run, timeout=timeout), dry_run)


@click.command(cls=Command)
@with_client
def ranges(db: Client, form: Form, timeout: float) -> None:
    """Print every range with its owner, size and load."""
    rows = db.admin.ranges(timeout=timeout)
    form.show(list(map(asdict, rows)), _table([_HEADINGS, *(_cells(form, row) for row in rows)]))


@click.group(cls=Group)
def workers() -> None:
    """Add a worker to the cluster, or remove one."""


@workers.command()
@_dry_run
@with_client
def add(db: Client, form: Form, timeout: float, dry_run: bool) -> None:
    """Start another worker. It has no ranges until some are moved to it."""
    worker = db.admin.add_worker(dry_run=dry_run, timeout=timeout)
    form.show({"worker": worker, "dry_run": dry_run}, f"{'would add' if dry_run else 'added'} worker {worker}")


@workers.command()
@click.argument("worker", type=int)
@_dry_run
@with_client
def drain(db: Client, form: Form, timeout: float, worker: int, dry_run: bool) -> None:
    """Move all ranges of WORKER to the other workers, then stop it.

    It stops when no scan is open on it. A scan that is not continued ends after 30 seconds.
    """
    changes = db.admin.drain_worker(worker, dry_run=dry_run, timeout=timeout)
    _show(form, changes, dry_run, f"worker {worker} {'would end' if dry_run else 'has ended'}")


COMMANDS: Sequence[click.Command] = (split, merge, move, rebalance, ranges, workers)


def _show(form: Form, changes: Sequence[PlannedChange], dry_run: bool, end: str = "") -> None:
    """Print a line for each change, and `end` as the last line."""
    lines = [f"{'would ' if dry_run else ''}{_line(form, change)}" for change in changes]
    lines = [*lines, end] if end else lines or ["nothing to do"]
    form.show({"dry_run": dry_run, "changes": list(map(asdict, changes))}, "\n".join(lines))


def _line(form: Form, change: PlannedChange) -> str:
    parents, children = (" + ".join(map(str, segments)) for segments in (change.parents, change.children))
    at = f" at {form.to_line(change.at)}" if change.at else ""
    return f"{change.kind} {parents} -> {children}{at}, worker {change.worker}: {change.reason}"


def _cells(form: Form, row: RangeRow) -> tuple[str, ...]:
    bounds = (form.to_line(bound) or "-" for bound in (row.start, row.end))
    numbers = (str(row.segment), str(row.worker), str(row.epoch), f"{row.size_bytes:,}", f"{row.operations_per_s:,}")
    return (*bounds, *numbers, row.stage)


def _table(lines: Sequence[Sequence[str]]) -> str:
    """Format a table. Columns are as wide as their widest cell; numbers are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides: Sequence[Callable[[str, int], str]] = (str.ljust, str.ljust, *[str.rjust] * 5, str.ljust)
    return "\n".join(
        "  ".join(side(cell, width) for side, cell, width in zip(sides, line, widths, strict=True)).rstrip()
        for line in lines
    )
