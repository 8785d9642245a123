"""The times of calls: collected in plain lists by the measured loop, and handed over in bulk every second."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ycsb.answers import Answers, Faults

SECOND_NS = 1_000_000_000
NEVER_NS = 2**63 - 1


class Rows(NamedTuple):
    """Columns with one entry for each call that succeeded."""

    kinds: NDArray[np.int64]
    operations: NDArray[np.int64]
    intended_ns: NDArray[np.int64]
    """The intended starts; without a target rate, the actual starts."""
    started_ns: NDArray[np.int64]
    ended_ns: NDArray[np.int64]


class Taker(Protocol):
    """Takes the rows that samples hand over."""

    stopped: bool
    """Set to stop the runners early."""

    def take(self, rows: Rows, faults: Faults, now_ns: int) -> None:
        """Take the calls and faults since the last hand-over."""


class Samples:
    """The samples of one thread, or of all tasks of one loop. Not thread-safe.

    A loop hands over when a call ends at or after `due_ns`. No call begins at or after `end_ns`.
    """

    def __init__(self, taker: Taker, answers: Answers, begin_ns: int, end_ns: int) -> None:
        self.answers = answers
        self.end_ns = end_ns
        self.due_ns = min(begin_ns + SECOND_NS, end_ns)
        self._taker = taker
        self._begin_ns = begin_ns
        self._kinds: list[int] = []
        self._operations: list[int] = []
        self._intended_ns: list[int] = []
        self._started_ns: list[int] = []
        self._ended_ns: list[int] = []

    def add(self, kind: int, operations: int, intended_ns: int, started_ns: int, ended_ns: int) -> None:
        """Add a call that succeeded; see Rows."""
        self._kinds.append(kind)
        self._operations.append(operations)
        self._intended_ns.append(intended_ns)
        self._started_ns.append(started_ns)
        self._ended_ns.append(ended_ns)

    def hand_over(self, now_ns: int) -> bool:
        """Hand over everything, and set the next hand-over to the end of the second. Returns whether to continue."""
        columns = (self._kinds, self._operations, self._intended_ns, self._started_ns, self._ended_ns)
        faults = self.answers.faults
        if self._kinds or faults:
            self._taker.take(Rows(*(np.array(column, dtype=np.int64) for column in columns)), faults.copy(), now_ns)
            for column in columns:
                column.clear()
            faults.clear()
        # Set before `stopped` is read, since Orders.stop sets `stopped` first and then makes all samples due.
        self.due_ns = min(now_ns + SECOND_NS - (now_ns - self._begin_ns) % SECOND_NS, self.end_ns)
        if self._taker.stopped:
            self.due_ns = 0  # for the other tasks of the loop
        return self.due_ns > now_ns
