"""Kills and changes while values are checked: python -m tests.measuring.direct_reads [--seconds N] [--seed S].

Prints the counts of tests/process/direct_chaos.py; exits with an error if a client reads a wrong value.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import click

from tests.process import direct_chaos


@click.command()
@click.option("--seconds", default=300.0, show_default=True, help="Seconds in which to kill processes.")
@click.option("--seed", default=1, show_default=True, help="Seed of the writes, the changes and the kills.")
def main(seconds: float, seed: int) -> None:
    """Kill processes of a new cluster, and check each value that is read meanwhile."""
    logging.getLogger("shardstore").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="shardstore-direct-") as base:
        for what, count in sorted(direct_chaos.run(Path(base), seed, seconds).items()):
            click.echo(f"{what}: {count}")
    click.echo("wrong: 0")


if __name__ == "__main__":
    main()
