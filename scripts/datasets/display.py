"""The progress display of a load: a bar on a terminal, elsewhere a line every few seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from status_line import in_units

from datasets.inputs import Input
from datasets.records import Place

SECONDS_BETWEEN_LINES = 5.0

Show: TypeAlias = Callable[[Place, int], None]
"""Takes the place reached in an input, and the number of records before it."""


class Display:
    """Shows the progress of one input at a time on the console."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def showing(self, doing: str, source: Input) -> Iterator[Show]:
        """Show the progress of the input while the block runs."""
        if not self._console.is_terminal:
            yield self._lines(doing, source)
            return
        title = TextColumn("{task.description}", markup=False)
        count = TextColumn("{task.fields[records]:,} records")
        columns = (title, BarColumn(20), DownloadColumn(binary_units=True), TimeRemainingColumn(), count)
        with Progress(*columns, console=self._console) as progress:
            bar = progress.add_task(f"{doing} {os.path.basename(source.name)}", total=source.size, records=0)
            yield lambda place, records: progress.update(bar, completed=source.consumed(place), records=records)

    def _lines(self, doing: str, source: Input) -> Show:
        of_all = "" if source.size is None else f" of {in_units(source.size)}"
        due = self._clock() + SECONDS_BETWEEN_LINES

        def show(place: Place, records: int) -> None:
            nonlocal due
            if self._clock() >= due:
                due = self._clock() + SECONDS_BETWEEN_LINES
                self.say(f"{doing} {source.name}: {in_units(source.consumed(place))}{of_all}, {records:,} records")

        return show
