"""The program of launch_cluster.py: a cluster with a status line, or the demonstration."""

from __future__ import annotations

import logging
import shlex
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import demo
from rich.console import Console
from rich.logging import RichHandler
from status_line import StatusLine

from shardstore import LocalCluster
from shardstore.cli.failures import failures_in_one_line
from shardstore.cli.serve import serving_options
from shardstore.cluster.serve import serve
from shardstore.cluster.settings import cluster_settings

HOW_TO_CONNECT = """serving {where} at {url}

  in Python:    import shardstore; db = shardstore.connect({where!r}); db.put(b"k", b"v"); db.get(b"k")
  in a shell:   {shell} put greeting hello --data {data}
                {shell} scan --data {data}

Ctrl-C stops the cluster.
"""


@click.command()
@serving_options
@click.option(
    "--demo", "demonstrate", is_flag=True, help="Load real data, kill a worker, read all back, compare it, and exit."
)
@click.pass_context
def main(context: click.Context, demonstrate: bool, **options: Any) -> None:
    """Start a cluster on this machine and serve until Ctrl-C."""
    console = Console(highlight=False)
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=console, show_time=False, show_level=False, show_path=False)],
    )
    with failures_in_one_line():
        if demonstrate:
            own_data = context.get_parameter_source("data") is not click.core.ParameterSource.DEFAULT
            sys.exit(0 if _demonstrate(options, own_data, console) else 1)
        _serve(options, console)


def _demonstrate(options: dict[str, Any], own_data: bool, console: Console) -> bool:
    with ExitStack() as stack:
        if not own_data:
            options["data"] = stack.enter_context(tempfile.TemporaryDirectory(prefix="shardstore-demo-"))
        cluster = stack.enter_context(LocalCluster(**options))
        return demo.run(cluster, Path(options["data"]), console)


def _serve(options: dict[str, Any], console: Console) -> None:
    settings = cluster_settings(**options)
    status_line = StatusLine(console)
    shell = Path(sys.executable).with_name("shardstore")

    def on_ready(url: str) -> None:
        words = {"data": shlex.quote(settings.data), "shell": shlex.quote(str(shell))}
        console.print(HOW_TO_CONNECT.format(where=settings.data, url=url, **words), soft_wrap=True, markup=False)
        status_line.start(url)

    try:
        serve(settings, on_ready)
    finally:
        status_line.stop()
    console.print("stopped; every acknowledged write is on disk")
