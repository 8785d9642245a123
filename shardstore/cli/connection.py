"""How a command connects to a cluster, and how it reads and prints keys and values."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

import shardstore
from shardstore.cli import output
from shardstore.cli.failures import failures_in_one_line
from shardstore.errors import InvalidRequest
from shardstore.system.running_cluster import named_by_environment

DEFAULT_DATA = "data"


@dataclass(frozen=True, slots=True)
class Form:
    """The form in which keys and values are given and printed."""

    hex: bool
    json: bool

    def to_bytes(self, text: str) -> bytes:
        """Return the bytes that an argument of the command line stands for. Raises InvalidRequest."""
        if not self.hex:
            return text.encode("utf-8", "surrogateescape")
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise InvalidRequest(f"{text!r} is not hexadecimal: give two digits per byte") from None

    def to_bound(self, text: str | None) -> bytes | None:
        """Return the bytes of a bound; None if it was not given."""
        return None if text is None else self.to_bytes(text)

    def to_text(self, data: bytes) -> str:
        """Return the bytes as text; without --hex, bytes that are not UTF-8 appear as \\xNN."""
        return data.hex() if self.hex else data.decode("utf-8", "backslashreplace")

    def to_line(self, data: bytes) -> str:
        """Return the bytes as one line of text without tabs, from which the bytes can be recovered."""
        return data.hex() if self.hex else output.one_line(data)

    def show(self, result: Any, text: str) -> None:
        """Print the result as JSON, or as text."""
        output.say(json.dumps(result, default=self.plain) if self.json else text)

    def plain(self, value: object) -> str:
        """A value that JSON does not have, as text."""
        return self.to_text(value) if isinstance(value, bytes) else str(value)


def cluster_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command the options that name a cluster, and the arguments `where` and `key_file` for `connect`."""

    @click.option("--key", "key_file", type=click.Path(), help="Key file for a tcp url. [default: SHARDSTORE_KEY]")
    @click.option("--url", help="Address of the cluster, as `serve` prints it. [default: the cluster of --data]")
    @click.option(
        "--data",
        type=click.Path(),
        help="Data directory of a cluster on this host. [default: SHARDSTORE_URL or SHARDSTORE_DATA, or else data]",
    )
    @wraps(command)
    def naming(url: str | None, data: str | None, **arguments: Any) -> None:
        given = [where for where in (url, data) if where is not None]
        if "" in given:
            raise click.UsageError("--url or --data is empty: name a cluster, or leave the option out")
        command(where=given[0] if given else named_by_environment() or DEFAULT_DATA, **arguments)

    return naming


def with_client(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command a connected client, a Form and a timeout as arguments, and the options for them."""

    @cluster_options
    @click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the cluster.")
    @click.option("--hex", "as_hex", is_flag=True, help="Give and print keys and values as hexadecimal digits.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @wraps(command)
    def connected(
        where: str, key_file: str | None, timeout: float, as_hex: bool, as_json: bool, **arguments: Any
    ) -> None:
        with failures_in_one_line():
            db = shardstore.connect(where, timeout=timeout, key=key_file)
        with db, failures_in_one_line(advise=True):
            command(db, Form(as_hex, as_json), timeout, **arguments)

    return connected
