"""The command line: commands to serve a store and to use one.

Keys and values are read and printed as UTF-8 text, or with --hex as hexadecimal digits, which can express any bytes.
With --json all output is JSON.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from shardstore.cli import admin, exchange, help_texts, memory_table, output
from shardstore.cli.changes import changes
from shardstore.cli.connection import Form, with_client
from shardstore.cli.doctor import doctor
from shardstore.cli.failures import EXIT_CODES, EXIT_NO_SUCH_KEY, CommandLine, Failed
from shardstore.cli.keys import keys
from shardstore.cli.serve import serve_command
from shardstore.cli.status import status
from shardstore.cli.wal import wal
from shardstore.errors import InvalidRequest, ScanInvalidated
from shardstore.options import InspectionOptions, ScanMode, to_argument

if TYPE_CHECKING:
    from shardstore.client.blocking.client import Client

HELP = f"""A sharded, ordered, persistent key-value store.

Start a store with `shardstore serve`, then use it from another terminal:

\b
    shardstore put greeting hello
    shardstore get greeting
    shardstore scan --prefix gree

Keys and values are UTF-8 text. A byte that is not UTF-8 is printed as \\xNN. --hex prints any bytes exactly, and
`get --raw` those of a value. Put `--` before a key that begins with a dash.

\b
Exit codes:
    {EXIT_CODES}
"""


@click.group(
    cls=CommandLine,
    commands=(serve_command, status, doctor, wal, keys, *exchange.COMMANDS, *admin.COMMANDS, changes),
    context_settings={"help_option_names": ["-h", "--help"]},
    help=HELP,
)
@help_texts.version_option
def main() -> None:
    """The command `shardstore`. Its help text is HELP."""


@main.command()
@click.argument("key")
@click.option("--raw", is_flag=True, help="Print only the bytes of the value, without a line end.")
@with_client
def get(db: Client, form: Form, timeout: float, key: str, raw: bool) -> None:
    """Print the value of KEY. Exits with 1 if there is no such key."""
    if raw and form.json:
        raise click.UsageError("--raw and --json are two ways to print the value: choose one")
    value = db.get(form.to_bytes(key), timeout=timeout)
    if value is None:
        output.complain(lambda: click.echo(f"no such key: {form.to_line(form.to_bytes(key))}", err=True))
        raise click.exceptions.Exit(EXIT_NO_SUCH_KEY)
    if raw:
        output.say_bytes(value)
    else:
        form.show({"key": form.to_bytes(key), "value": value}, form.to_text(value))


@main.command()
@click.argument("key")
@click.argument("value", required=False)
@click.option("--ttl", type=float, metavar="SECONDS", help="Let the value expire after so many seconds.")
@with_client
def put(db: Client, form: Form, timeout: float, key: str, value: str | None, ttl: float | None) -> None:
    """Set KEY to VALUE, or to the standard input.

    Without VALUE, the value is everything read from the standard input, byte for byte.
    """
    content = _standard_input() if value is None else form.to_bytes(value)
    db.put(form.to_bytes(key), content, ttl=ttl, timeout=timeout)
    form.show({"key": form.to_bytes(key), "bytes": len(content)}, f"put {len(content)} bytes")


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise InvalidRequest("there is no VALUE, and the standard input, from which it would be taken, is closed")
    return sys.stdin.buffer.read()


@main.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@with_client
def delete(db: Client, form: Form, timeout: float, keys: tuple[str, ...]) -> None:
    """Delete each KEY. A key need not exist."""
    given = [form.to_bytes(key) for key in keys]
    if len(given) == 1:
        db.delete(given[0], timeout=timeout)
    else:
        db.delete_many(given, timeout=timeout)
    form.show({"deleted": given}, f"deleted {', '.join(map(form.to_line, given))}")


@main.command()
@click.option("--start", help="First key.")
@click.option("--end", help="Key to stop before.")
@click.option("--prefix", help="Only keys with this prefix.")
@click.option("--reverse", is_flag=True, help="From the last key to the first.")
@click.option("--limit", type=click.IntRange(1), help="Maximum number of keys.")
@click.option("--keys-only", is_flag=True, help="Print no values.")
@click.option(
    "--mode",
    default=ScanMode.SNAPSHOT.value,
    show_default=True,
    type=click.Choice([mode.value for mode in ScanMode]),
    help="How the scan treats writes made while it runs.",
)
@click.option("--resume", metavar="TOKEN", help="Continue a scan that ended early, with the token that it printed.")
@with_client
def scan(
    db: Client,
    form: Form,
    timeout: float,
    start: str | None,
    end: str | None,
    prefix: str | None,
    resume: str | None,
    **more: Any,
) -> None:
    """Print keys and values in key order, one entry per line.

    A tab separates key and value. Unless --hex or --json is given, a line end in them is printed as \\n or \\r, a tab
    as \\t, a backslash as \\\\, and any other unprintable byte as \\xNN.
    """
    texts = {"start": start, "end": end, "prefix": prefix}
    more |= {name: form.to_bytes(text) for name, text in texts.items() if text is not None}
    more["resume"] = None if resume is None else Form(hex=True, json=False).to_bytes(resume)
    try:
        for entry in db.scan(timeout=timeout, **more):
            if isinstance(entry, bytes):  # keys only
                form.show({"key": entry}, form.to_line(entry))
            else:
                key, value = entry
                form.show({"key": key, "value": value}, f"{form.to_line(key)}\t{form.to_line(value)}")
    except ScanInvalidated as ended:
        raise Failed(f"{ended} (go on with --resume {ended.token.hex()})") from None


@main.command()
@with_client
def stats(db: Client, form: Form, timeout: float) -> None:
    """Print the statistics of the router and of each worker."""
    statistics = db.stats(timeout=timeout)
    named = {who if isinstance(who, str) else f"worker {who}": each for who, each in statistics.items()}
    form.show(statistics, "\n".join(_lines(named)))


@main.command()
@with_client
def memory(db: Client, form: Form, timeout: float) -> None:
    """Print how much memory is allowed and used.

    The table shows each use of memory, per worker and in total.
    """
    statistics = db.stats(timeout=timeout)
    form.show(
        {who: each.get("budget" if who == "router" else "memory", each) for who, each in statistics.items()},
        "\n".join(memory_table.lines(statistics)),
    )


def maintenance_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command on whole ranges its options."""
    for option in (
        click.option("--no-wait", is_flag=True, help="Return once it is accepted; fail if one is already running."),
        click.option("--end", help="Only ranges with keys before this key."),
        click.option("--start", help="Only ranges with keys at or after this key."),
    ):
        command = option(command)
    return command


@main.command()
@maintenance_options
@with_client
def flush(db: Client, form: Form, timeout: float, start: str | None, end: str | None, no_wait: bool) -> None:
    """Write everything buffered so far into table files."""
    db.flush(form.to_bound(start), form.to_bound(end), not no_wait, timeout=timeout)
    form.show({"flushed": not no_wait}, "accepted" if no_wait else "flushed")


@main.command()
@maintenance_options
@with_client
def compact(db: Client, form: Form, timeout: float, start: str | None, end: str | None, no_wait: bool) -> None:
    """Flush, and merge the tables of each range."""
    db.compact(form.to_bound(start), form.to_bound(end), not no_wait, timeout=timeout)
    form.show({"compacted": not no_wait}, "accepted" if no_wait else "compacted")


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, resolve_path=True))
@click.option("--entries", default=20, show_default=True, type=click.IntRange(0), help="Entries or records to show.")
@click.option("--hex", "as_hex", is_flag=True, help="Print keys and values as hexadecimal digits.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(file: str, entries: int, as_hex: bool, as_json: bool) -> None:
    """Print the content of FILE, any file of a store.

    FILE may be in use, or a copy. If it is damaged, the command says where and exits with 3.
    """
    from shardstore.system.own_program import run_module  # noqa: PLC0415  (no other command needs it)

    directory, name = os.path.split(file)
    options = InspectionOptions(directory, name, entries, as_hex, as_json)
    code, printed = run_module("shardstore.workers.inspection", to_argument(options))
    output.say_bytes(printed)
    raise click.exceptions.Exit(code)


def _lines(statistics: Any, indent: str = "") -> Iterator[str]:
    """Format nested statistics as indented lines."""
    for name, value in statistics.items() if isinstance(statistics, dict) else enumerate(statistics):
        if isinstance(value, dict | list) and value:
            yield f"{indent}{name}"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{name}  {value:,}" if type(value) is int else f"{indent}{name}  {value}"
