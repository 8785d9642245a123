"""Shows what is being measured, on the standard error: a bar on a terminal, elsewhere a line every few seconds."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

SECONDS_BETWEEN_LINES = 3.0


class MeasuringProgress:
    """The progress display, shown for the duration of a `with` block."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal, transient=True)
        self._task = self._bar.add_task("", total=None)
        self._lines_due = time.monotonic()

    def expect(self, total: int) -> None:
        """Set the number of steps."""
        self._bar.update(self._task, total=total)

    def say(self, what: str) -> None:
        """Show what is being measured."""
        self._bar.update(self._task, description=what)
        if not self._console.is_terminal and time.monotonic() >= self._lines_due:
            self._lines_due = time.monotonic() + SECONDS_BETWEEN_LINES
            self._console.print(what, soft_wrap=True)

    def advance(self) -> None:
        """Count one more step as done."""
        self._bar.advance(self._task)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
