"""The log of `serve`, for the operator of the store. A reader that stops reading it does not stop the store."""

from __future__ import annotations

import logging
from contextlib import suppress
from queue import Full, Queue
from threading import Thread
from typing import TextIO

LINES_MAX = 10_000
LAST_LINES_SECONDS = 1.0
"""Maximum time to write the remaining lines when the program ends."""


class PatientLog(logging.Handler):
    """A log that writes in a separate thread, as a pager or a halted terminal may accept no lines for a while.

    Lines that do not fit in the queue are dropped; a line with their number replaces them.
    """

    def __init__(self, output: TextIO | None, lines_max: int = LINES_MAX) -> None:
        """`output` is None if there is none, as in a program started with a closed descriptor."""
        super().__init__()
        self._output = output
        self._lines: Queue[str | None] = Queue(lines_max)
        self._left_out = 0
        self._thread = Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line, or drop it if the queue is full."""
        try:
            if self._left_out:
                self._lines.put_nowait(f"{self._left_out} lines were left out here, as earlier ones were not read")
                self._left_out = 0
            self._lines.put_nowait(self.format(record))
        except Full:
            self._left_out += 1

    def close(self) -> None:
        """Wait until the remaining lines are written, at most LAST_LINES_SECONDS."""
        with suppress(Full):
            self._lines.put_nowait(None)
            self._thread.join(LAST_LINES_SECONDS)
        super().close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._output is not None:
                with suppress(OSError, ValueError):  # there is nowhere else to report it
                    self._output.write(f"{line}\n")
                    self._output.flush()
