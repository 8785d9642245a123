"""The log of `serve`: lines for who operates the store, and nobody who has stopped reading them stops the store."""

from __future__ import annotations

import logging
from contextlib import suppress
from queue import Full, Queue
from threading import Thread
from typing import TextIO

LINES_MAX = 10_000
LAST_LINES_SECONDS = 1.0
"""Time for the lines that wait when the program ends."""


class PatientLog(logging.Handler):
    """Writes from a thread of its own: a pager, or a terminal where output was halted, takes no lines for a while.

    Lines that do not fit into the queue are left out, and their number is told instead.
    """

    def __init__(self, output: TextIO | None, lines_max: int = LINES_MAX) -> None:
        """`output`: None where there is none, as in a program that was started with a closed descriptor."""
        super().__init__()
        self._output = output
        self._lines: Queue[str | None] = Queue(lines_max)
        self._left_out = 0
        self._thread = Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        try:
            if self._left_out:
                self._lines.put_nowait(f"{self._left_out} lines were left out here, as nobody took the ones before")
                self._left_out = 0
            self._lines.put_nowait(self.format(record))
        except Full:
            self._left_out += 1

    def close(self) -> None:
        """Wait for what is still to be written, but not for one who takes nothing."""
        with suppress(Full):
            self._lines.put_nowait(None)
            self._thread.join(LAST_LINES_SECONDS)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._output is not None:
                with suppress(OSError, ValueError):  # there is no other place to say it
                    self._output.write(f"{line}\n")
                    self._output.flush()
