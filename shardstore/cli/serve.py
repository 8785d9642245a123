"""The command that starts a cluster, and its options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import Field, fields
from functools import wraps
from typing import Any

import click

from shardstore.cli import output
from shardstore.cli.connection import DEFAULT_DATA
from shardstore.cli.failures import failures_in_one_line
from shardstore.cli.help_texts import Command
from shardstore.errors import StorageFailure
from shardstore.memory_plan import DEFAULT_MEMORY
from shardstore.options import Durability
from shardstore.segment_options import HELP, Compression, SegmentOptions
from shardstore.system.running_cluster import DATA_VARIABLE
from shardstore.topology_options import TopologyOptions


def serving_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that start a cluster; it gets them as the arguments of LocalCluster."""

    @wraps(command)
    def serving(**options: Any) -> None:
        with failures_in_one_line():
            segments = SegmentOptions(**{field.name: options.pop(field.name) for field in fields(SegmentOptions)})
            topology = TopologyOptions(**{field.name: options.pop(field.name) for field in fields(TopologyOptions)})
        command(segments=segments, topology=topology, **options)

    options: tuple[Callable[[Any], Any], ...] = (
        click.option(
            "--data",
            default=DEFAULT_DATA,
            envvar=DATA_VARIABLE,
            show_default=True,
            show_envvar=True,
            type=click.Path(),
            help="Directory of the store.",
        ),
        click.option(
            "--workers",
            type=int,
            help="Number of workers; more run if they own ranges. [default: as many as the store has]",
        ),
        click.option(
            "--memory", default=DEFAULT_MEMORY, show_default=True, help="Memory that the whole store may use."
        ),
        click.option(
            "--durability",
            default=Durability.GROUP_SYNC.value,
            show_default=True,
            type=click.Choice([mode.value for mode in Durability]),
            help="When a write is acknowledged: once the system has it (async), after a sync together with other "
            "writes (group_sync), or after a sync of its own (sync).",
        ),
        click.option(
            "--ranges", type=int, help="Number of equal ranges of a new store. [default: one, split as it grows]"
        ),
        click.option("--socket", type=click.Path(), help="Socket for clients. [default: one in a private directory]"),
        click.option("--socket-mode", metavar="OCTAL", help="Access mode of --socket, like 660. [default: 600]"),
        click.option("--socket-group", metavar="GROUP", help="Group of --socket."),
        click.option(
            "--listen",
            help="Address, like tcp://127.0.0.1:7700. If other hosts can reach it, the store needs keys (`shardstore "
            "keys`). [default: private sockets]",
        ),
        *map(_setting, (*fields(SegmentOptions), *fields(TopologyOptions))),
    )
    for option in reversed(options):
        serving = option(serving)
    return serving


def _setting(field: Field[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option for a field of SegmentOptions or TopologyOptions."""
    is_choice = isinstance(field.default, Compression)
    name = field.name.replace("_", "-")
    return click.option(
        f"--{name}/--no-{name}" if isinstance(field.default, bool) else f"--{name}",
        default=field.default.value if is_choice else field.default,
        show_default=True,
        type=click.Choice([compression.value for compression in Compression]) if is_choice else type(field.default),
        help=field.metadata[HELP],
    )


@click.command("serve", cls=Command)
@serving_options
def serve_command(**options: Any) -> None:
    """Start a cluster on this host and serve until Ctrl-C."""
    # ruff: noqa: PLC0415  (no other command needs these modules)
    import logging

    from shardstore.cli.log import PatientLog
    from shardstore.cluster import serve, settings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", handlers=[PatientLog(sys.stderr)])
    with failures_in_one_line():
        asked = settings.cluster_settings(**options)
        serve.serve(asked, lambda url: _say_at_once(f"serving {asked.data} at {url}"))


def _say_at_once(line: str) -> None:
    """Print and flush a line. If the output is closed, log it instead: the store serves all the same."""
    import logging

    try:
        output.say(line)
        output.finish()
    except StorageFailure as failure:
        logging.getLogger("shardstore.cluster").warning("%s (%s)", line, failure)
