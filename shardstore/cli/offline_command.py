"""What commands on the files of a store have in common: their exit codes, and how they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from shardstore.cli.failures import Failed
from shardstore.cli.help_texts import Command
from shardstore.errors import ShardstoreError

EXIT_UNREADABLE = 1
EXIT_FINDINGS = 2


class WrongUsage(click.UsageError):
    """Wrong arguments."""

    exit_code = EXIT_UNREADABLE


class Unreadable(Failed):
    """The files cannot be read."""

    exit_code = EXIT_UNREADABLE


class OfflineCommand(Command):
    """A command that exits with 1 if it is used wrongly, as 2 means that it has found something."""

    def make_context(self, *args: Any, **settings: Any) -> click.Context:
        """Parse the arguments."""
        try:
            return super().make_context(*args, **settings)
        except click.UsageError as error:
            raise WrongUsage(error.format_message(), error.ctx) from None


@contextmanager
def unreadable() -> Iterator[None]:
    """Turn an error of the store into a failure with the exit code 1."""
    try:
        yield
    except ShardstoreError as error:
        raise Unreadable(str(error)) from None


def directory_argument(command: Any) -> Any:
    """Give a command the argument DIR."""
    kind = click.Path(exists=True, file_okay=False, resolve_path=True)
    return click.argument("directory", metavar="DIR", type=kind)(command)
