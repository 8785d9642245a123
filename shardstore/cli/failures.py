"""How a command fails: with one line that says what happened, why, and what to do, and with a distinct exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from shardstore.cli import output
from shardstore.cli.help_texts import Group
from shardstore.errors import Corruption, DiskFull, OutcomeUnknown, ShardstoreError, Unavailable

EXIT_NO_SUCH_KEY = 1
EXIT_FAILED = 3
EXIT_UNFORESEEN = 70
EXIT_INTERRUPTED = 130
EXIT_CODES = """\
0 done, 1 no such key, 2 wrong usage, 3 refused or failed, 70 internal error,
    130 interrupted by Ctrl-C, 141 output pipe closed. `status`, `doctor` and `wal` have their own."""

WHAT_TO_DO = {
    Unavailable: "try again in a moment, or see `shardstore status`",
    OutcomeUnknown: "check with `get` or `ranges` what was done before you repeat it",
    Corruption: "nothing was changed; other ranges are served. Keep a copy of the files, and look at this one with "
    "`shardstore inspect`",
    DiskFull: "make room on that disk; the worker goes on by itself",
}


class Failed(click.ClickException):
    """An error that is printed as one line."""

    exit_code = EXIT_FAILED


@contextmanager
def failures_in_one_line(advise: bool = False) -> Iterator[None]:
    """Turn an error of the store into Failed. With `advise`, add what to do, as for a running store."""
    try:
        yield
    except ShardstoreError as error:
        kinds = WHAT_TO_DO.items() if advise else ()
        advice = next((f" ({advice})" for kind, advice in kinds if isinstance(error, kind)), "")
        raise Failed(f"{error}{advice}") from None


class CommandLine(Group):
    """All commands. However a command ends, the exit code of the process says how."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run a command, then end the process."""
        sys.exit(self._run(*args, **settings))

    def _run(self, *args: Any, **settings: Any) -> int:
        try:
            try:
                with failures_in_one_line():
                    code = super().main(*args, **settings | {"standalone_mode": False})
                    output.finish()
                return code if isinstance(code, int) else 0
            except click.exceptions.Exit as end:
                return end.exit_code
            except click.Abort:
                return EXIT_INTERRUPTED
            except click.ClickException as failure:
                output.complain(failure.show)
                return failure.exit_code
        except Exception:
            import traceback  # noqa: PLC0415  (slow to load, and rarely needed)

            output.complain(traceback.print_exc)
            return EXIT_UNFORESEEN
