"""How a command of the command line reaches a cluster, takes and prints bytes, and fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from shardstore.client.blocking_client import connect
from shardstore.client.opening import named_by_environment
from shardstore.errors import (
    Corruption,
    InvalidRequest,
    OutcomeUnknown,
    ShardstoreError,
    StorageFailure,
    Unavailable,
)

EXIT_NO_SUCH_KEY = 1
EXIT_FAILED = 3
DEFAULT_DATA = "data"


WHAT_TO_DO = {
    Unavailable: "try again in a moment",
    OutcomeUnknown: "see with `get` or `ranges` what was done before you repeat it",
    Corruption: "keep the files as they are and restore from a backup",
    StorageFailure: "free space or repair the disk; the worker goes on by itself or after a restart",
}


class Failed(click.ClickException):
    """One line that says what went wrong."""

    exit_code = EXIT_FAILED


@dataclass(frozen=True, slots=True)
class Form:
    """How bytes are given and printed."""

    hex: bool
    json: bool

    def to_bytes(self, text: str) -> bytes:
        """The bytes a word of the command line stands for."""
        if not self.hex:
            return text.encode("utf-8", "surrogateescape")
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise InvalidRequest(f"{text!r} is not hexadecimal: give two digits per byte") from None

    def to_bound(self, text: str | None) -> bytes | None:
        """The bytes of a bound, None for one that was not given."""
        return None if text is None else self.to_bytes(text)

    def to_text(self, data: bytes) -> str:
        """The bytes as text; without --hex, bytes that are no UTF-8 appear as \\xNN."""
        return data.hex() if self.hex else data.decode("utf-8", "backslashreplace")

    def show(self, answer: Any, text: str) -> None:
        """Print the answer as JSON, or as text."""
        click.echo(json.dumps(answer, default=self._plain) if self.json else text)

    def _plain(self, value: object) -> str:
        return self.to_text(value) if isinstance(value, bytes) else str(value)


@contextmanager
def failures_in_one_line() -> Iterator[None]:
    """Turn an error of the store into a line that says what, why, and what to do."""
    try:
        yield
    except ShardstoreError as error:
        advice = next((f" ({advice})" for kind, advice in WHAT_TO_DO.items() if isinstance(error, kind)), "")
        raise Failed(f"{error}{advice}") from None


def with_client(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command a connected client, the form of its answers and a timeout, and the options for all three."""

    @click.option("--url", help="Address of the cluster, as `serve` prints it. [default: the cluster of --data]")
    @click.option(
        "--data",
        type=click.Path(),
        help="Data directory of a cluster on this host. [default: SHARDSTORE_URL or SHARDSTORE_DATA, or else data]",
    )
    @click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the cluster.")
    @click.option("--hex", "as_hex", is_flag=True, help="Give and print keys and values as hexadecimal digits.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @wraps(command)
    def connected(
        url: str | None, data: str | None, timeout: float, as_hex: bool, as_json: bool, **arguments: Any
    ) -> None:
        where = url or data or named_by_environment() or DEFAULT_DATA
        with failures_in_one_line(), connect(where, timeout=timeout) as db:
            command(db, Form(as_hex, as_json), timeout, **arguments)

    return connected
