"""The commands that read the write-ahead logs of a store that is not being served."""

from __future__ import annotations

import json
from itertools import islice

import click

from shardstore.cli import output
from shardstore.cli.help_texts import Group
from shardstore.cli.offline_command import EXIT_FINDINGS, OfflineCommand, directory_argument, unreadable

_of_worker = click.option("--worker", type=click.IntRange(0), help="Only the log of this worker.")


@click.group(cls=Group)
def wal() -> None:
    """Read the write-ahead logs of a store that is not being served."""


@wal.command(cls=OfflineCommand)
@directory_argument
@_of_worker
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(directory: str, worker: int | None, as_json: bool) -> None:
    """Verify each record of the logs in DIR, as a start does, and that it fits its range.

    Exits with 0 if all logs are sound, with 2 if there is a finding, and with 1 if they cannot be read.
    """
    # ruff: noqa: PLC0415  (no other command needs these modules)
    from shardstore.doctor import report
    from shardstore.doctor.examination import examined_logs
    from shardstore.doctor.log_lines import chosen_workers
    from shardstore.doctor.offline import offline_store

    with unreadable(), offline_store(directory) as filesystem:
        diagnosis = examined_logs(filesystem, chosen_workers(filesystem, worker))
    output.say(json.dumps(report.as_plain(diagnosis)) if as_json else "\n".join(report.report_lines(diagnosis)))
    if diagnosis.serious:
        raise click.exceptions.Exit(EXIT_FINDINGS)


@wal.command(cls=OfflineCommand)
@directory_argument
@_of_worker
@click.option("--from", "lsn_from", type=click.IntRange(0), default=0, help="The first LSN to print.")
@click.option("--limit", type=click.IntRange(1), help="Maximum number of records.")
@click.option("--hex", "as_hex", is_flag=True, help="Print keys and values as hexadecimal digits.")
def dump(directory: str, worker: int | None, lsn_from: int, limit: int | None, as_hex: bool) -> None:
    """Print each record of the logs in DIR as a line of JSON, worker after worker.

    Records that tables hold already are printed too, while their files are there. What follows damage in a file is not:
    `wal verify` says where it is.
    """
    from shardstore.doctor.log_lines import chosen_workers, rows_of_log
    from shardstore.doctor.offline import offline_store

    with unreadable(), offline_store(directory) as filesystem:
        workers = chosen_workers(filesystem, worker)
        rows = (row for each in workers for row in rows_of_log(filesystem, each, lsn_from, as_hex))
        for row in islice(rows, limit):
            output.say(json.dumps(row))
