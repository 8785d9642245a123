"""The command that reports whether a store serves."""

from __future__ import annotations

import json

import click

import shardstore
from shardstore.cli import output
from shardstore.cli.connection import cluster_options
from shardstore.cli.failures import failures_in_one_line
from shardstore.cli.help_texts import Command
from shardstore.cli.store_status import Level, StoreHealth, health_of
from shardstore.errors import TurnedAway, Unavailable


@click.command(cls=Command)
@cluster_options
@click.option("--timeout", default=5.0, show_default=True, help="Seconds to wait for each process.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(where: str, key_file: str | None, timeout: float, as_json: bool) -> None:
    """Print in one line whether the store serves.

    Exits with 0 if all of it serves, 1 if a part does not (degraded), 2 if nothing does (down).
    """
    with failures_in_one_line():
        health = _health(where, key_file, timeout)
    words = {"status": health.level.name.lower(), "why": health.why}
    output.say(json.dumps(words) if as_json else health.line)
    raise click.exceptions.Exit(health.level)


def _health(where: str, key_file: str | None, timeout: float) -> StoreHealth:
    try:
        with shardstore.connect(where, timeout=timeout, key=key_file) as db:
            return health_of(db.stats(timeout=timeout))
    except TurnedAway as error:
        return StoreHealth(Level.DEGRADED, str(error))
    except Unavailable as error:
        return StoreHealth(Level.DOWN, str(error))
