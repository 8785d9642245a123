"""Shows on the standard error how far a command is: as a bar on a terminal, else as a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from shardstore.cli import output

LINES = 10
"""How many lines say how far it is, if the length is known."""
DONE_A_LINE = 1_000_000
"""How much is done from one line to the next, if the length is not known."""


@contextmanager
def progress(label: str, unit: str, length: int | None = None) -> Iterator[Callable[[int], object]]:
    """Show how much of `length` is done. Gives the function to call with how much more is done."""
    if sys.stderr is not None and sys.stderr.isatty():
        with click.progressbar(length=length or 0, label=label, file=sys.stderr) as bar:
            yield bar.update
        return
    lines = _Lines(label, unit, length)
    yield lines.note
    lines.end()


class _Lines:
    """Prints a line each time another tenth is done, or so much if the length is not known."""

    def __init__(self, label: str, unit: str, length: int | None) -> None:
        self._label = label
        self._of = f"{f' of {length:,}' if length else ''} {unit}"
        self._step = -(-length // LINES) if length else DONE_A_LINE
        self._done = self._said = 0

    def note(self, more: int) -> None:
        """Note that so much more is done."""
        self._done += more
        if self._done - self._said >= self._step:
            self._say()

    def end(self) -> None:
        """Say how much is done in all."""
        if self._done > self._said:
            self._say()

    def _say(self) -> None:
        self._said = self._done
        output.complain(lambda: click.echo(f"{self._label}: {self._done:,}{self._of}", err=True))
