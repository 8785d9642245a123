"""The times of calls: collected in plain lists by the loop that makes them, handed over in bulk now and then."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ycsb.answers import Answers, Faults

SECOND_NS = 1_000_000_000
NEVER_NS = 2**63 - 1


class Rows(NamedTuple):
    """Columns, one entry per call that was answered."""

    kinds: NDArray[np.int64]
    operations: NDArray[np.int64]
    intended_ns: NDArray[np.int64]
    """When it should have begun; without a target rate, when it began."""
    started_ns: NDArray[np.int64]
    ended_ns: NDArray[np.int64]


class Taker(Protocol):
    """Takes what samples hand over."""

    stopped: bool
    """Set when the runners shall end before their time."""

    def take(self, rows: Rows, faults: Faults, now_ns: int) -> None:
        """Take the calls and faults since the last time."""


class Samples:
    """What happened to the calls of one thread, or of all tasks of one loop. Not for several threads.

    When a call ends at or after `due_ns`, its maker hands over; no call begins at or after `end_ns`.
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
        """Add a call that was answered; see Rows."""
        self._kinds.append(kind)
        self._operations.append(operations)
        self._intended_ns.append(intended_ns)
        self._started_ns.append(started_ns)
        self._ended_ns.append(ended_ns)

    def hand_over(self, now_ns: int) -> bool:
        """Hand over everything, next time at the end of the second; whether to go on."""
        columns = (self._kinds, self._operations, self._intended_ns, self._started_ns, self._ended_ns)
        faults = self.answers.faults
        if self._kinds or faults:
            self._taker.take(Rows(*(np.array(column, dtype=np.int64) for column in columns)), faults.copy(), now_ns)
            for column in columns:
                column.clear()
            faults.clear()
        # Set before `stopped` is read: who stops the runners sets that first, and then makes everything due.
        self.due_ns = min(now_ns + SECOND_NS - (now_ns - self._begin_ns) % SECOND_NS, self.end_ns)
        if self._taker.stopped:
            self.due_ns = 0  # for the other tasks of the loop
        return self.due_ns > now_ns
