"""What is known of the requests of one client to one segment, in a few bytes a run.

    known     older chapter | closed runs of the newer chapter | open run, which ends with `newest`

A chapter has at most so many runs. When the newer one is full it becomes the older one, and what was the older one is
forgotten: `floor` is the highest sequence that was. So a client that writes to one range only, whose sequences follow
one another, is known by a single run; of any other at least as many requests as a chapter has runs are known.

Of increments is kept besides what the latest of them answered (`values`), as b" sequence:value" one behind the other:
a client sends nothing again that it has overtaken that far.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shardstore.workers.ranges.results import BARRED, FAILED, Result
from shardstore.workers.ranges.sequence_runs import (
    APPLIED,
    BARRED_FOR_GOOD,
    COUNTED,
    FAILED_CONDITION,
    Run,
    below,
    decode_runs,
    encode_run,
    encode_runs,
    joined_runs,
    united,
)

PLACE_BYTES = 130
"""Memory for the place of a client in a window: its number, and its part of the map."""
CLIENT_BYTES = PLACE_BYTES + 200
"""The same with the object and its numbers; chapters and values come on top."""
_NOTHING = -1
_RESULTS: dict[int, Result] = {APPLIED: None, FAILED_CONDITION: FAILED, BARRED_FOR_GOOD: BARRED, COUNTED: None}
_KINDS: dict[Result, int] = {None: APPLIED, FAILED: FAILED_CONDITION, BARRED: BARRED_FOR_GOOD}


class KnownRequests:
    """`newest` is the highest sequence that was ever noted, `minute` that of the window's life in which it was.

    `is_shared`: other windows have this object too, so whoever wants to change it makes a copy. `is_doubtful`: what was
    forgotten of the client may lie above `newest`.
    """

    __slots__ = (
        "closed",
        "closed_last",
        "first",
        "floor",
        "is_doubtful",
        "is_shared",
        "kind",
        "minute",
        "newest",
        "older",
        "older_last",
        "runs",
        "values",
    )

    def __init__(self) -> None:
        self.minute = 0
        self.floor = 0
        self.older = b""
        self.older_last = 0
        self.closed = b""
        self.closed_last = 0
        self.runs = 0
        self.first = 0
        self.newest = 0
        self.kind = _NOTHING
        self.values = b""
        self.is_doubtful = False
        self.is_shared = False

    @property
    def size_bytes(self) -> int:
        """Memory that it takes, roughly."""
        return CLIENT_BYTES + len(self.older) + len(self.closed) + len(self.values)

    def note(self, sequence: int, result: Result, runs_max: int, values_max: int) -> int:
        """Remember a sequence above all others. Answers by how many bytes this has grown."""
        kind = _KINDS.get(result, COUNTED)
        goes_on = sequence == self.newest + 1 and kind == self.kind
        if goes_on and kind != COUNTED:
            self.newest = sequence
            return 0
        grown_bytes = 0
        if goes_on:
            self.newest = sequence
        else:
            grown_bytes = self._begin_run(sequence, kind, runs_max)
        if result and kind == COUNTED:
            before_bytes = len(self.values)
            self._note_value(sequence, result, values_max)
            grown_bytes += len(self.values) - before_bytes
        return grown_bytes

    def kind_of(self, sequence: int) -> int | None:
        """How the request ended; None where that is not known."""
        if self.first <= sequence <= self.newest and self.kind != _NOTHING:
            return self.kind
        return next((run.kind for run in self._all_runs() if run.first <= sequence <= run.last), None)

    def result_of(self, sequence: int, kind: int) -> Result:
        """What a retry of a request of this kind is told; None for an increment whose value was forgotten."""
        return self._value_of(sequence) if kind == COUNTED else _RESULTS[kind]

    def copy(self) -> KnownRequests:
        """The same, for one window alone."""
        copied = KnownRequests()
        for name in self.__slots__:
            setattr(copied, name, getattr(self, name))
        copied.is_shared = False
        return copied

    def later(self, minutes: int) -> KnownRequests:
        """The same in a window that has lived so much longer."""
        copied = self.copy()
        copied.minute += minutes
        return copied

    def doubtful(self) -> KnownRequests:
        """The same where another window has forgotten clients, and so maybe later requests of this one."""
        copied = self.copy()
        copied.is_doubtful = True
        return copied

    def resolved(self, sequence: int) -> KnownRequests:
        """The same when a request is sent for the first time: what was forgotten lies below it."""
        copied = self.copy()
        copied.is_doubtful = False
        copied.floor = sequence - 1
        return copied

    def reduced(self) -> KnownRequests:
        """Of the same client only its newest number: what it wrote before is too old."""
        kept = KnownRequests()
        kept.minute, kept.is_doubtful = self.minute, self.is_doubtful
        kept.floor = kept.newest = self.newest
        return kept

    def before(self, sequence: int, runs_max: int) -> KnownRequests:
        """What was known before this sequence was noted."""
        kept = _of_runs(below(self._all_runs(), sequence), runs_max, self.floor)
        kept.minute, kept.is_doubtful = self.minute, self.is_doubtful
        kept.values = _joined(pair for pair in self._pairs() if _sequence_of(pair) < sequence)
        return kept

    def united(self, newer: KnownRequests, runs_max: int, values_max: int) -> KnownRequests:
        """What this one and another of the same client know: the higher floor and the newest of the two count."""
        runs = united(self._all_runs(), newer._all_runs())
        whole = _of_runs(runs, runs_max, max(self.floor, newer.floor))
        whole.minute = max(self.minute, newer.minute)
        whole.is_doubtful = self.is_doubtful or newer.is_doubtful
        pairs = sorted({*self._pairs(), *newer._pairs()}, key=_sequence_of)
        whole.values = _joined(pairs[-values_max:])
        return whole

    def to_plain(self, number: int, minute: int) -> list[Any]:
        """For a document: the client's number, for how many minutes it was silent, and all else."""
        closed = [self.older, self.older_last, self.closed, self.closed_last, self.runs]
        latest = [self.first, self.newest, self.kind + 1, self.values]
        return [number, minute - self.minute, self.is_doubtful, self.floor, *closed, *latest]

    @classmethod
    def from_plain(cls, fields: Sequence[Any]) -> KnownRequests:
        """Inverse of to_plain, but for the client's number, in a window whose life begins."""
        known = cls()
        silent, known.is_doubtful, known.floor = fields[1:4]
        known.older, known.older_last, known.closed, known.closed_last, known.runs = fields[4:9]
        known.first, known.newest, kind, known.values = fields[9:]
        known.minute, known.kind = -silent, kind - 1
        return known

    @classmethod
    def from_results(
        cls, floor: int, sequences: Iterable[int], results: dict[int, bytes], runs_max: int, values_max: int
    ) -> KnownRequests:
        """One that knows these sequences, in ascending order; `results` of some of them."""
        kinds = ((sequence, _KINDS.get(results.get(sequence), COUNTED)) for sequence in sequences)
        known = _of_runs(joined_runs(Run(sequence, sequence, kind) for sequence, kind in kinds), runs_max, floor)
        counted = [(sequence, value) for sequence, value in results.items() if value not in _KINDS]
        known.values = _joined(b"%d:%b" % pair for pair in sorted(counted)[-values_max:])
        return known

    def _begin_run(self, sequence: int, kind: int, runs_max: int) -> int:
        """Close the open run, if there is one, and open another. Answers by how many bytes this has grown."""
        grown_bytes = 0
        if self.kind != _NOTHING:
            closed = encode_run(self.first, self.newest, self.kind, self.closed_last)
            self.closed += closed
            self.closed_last = self.newest
            self.runs += 1
            grown_bytes = len(closed)
            if self.runs >= runs_max:
                grown_bytes -= len(self.older)
                self.floor = max(self.floor, self.older_last)
                self.older, self.older_last = self.closed, self.closed_last
                self.closed, self.closed_last, self.runs = b"", 0, 0
        self.first = self.newest = sequence
        self.kind = kind
        return grown_bytes

    def _all_runs(self) -> list[Run]:
        open_run = [] if self.kind == _NOTHING else [Run(self.first, self.newest, self.kind)]
        return [*decode_runs(self.older), *decode_runs(self.closed), *open_run]

    def _note_value(self, sequence: int, value: bytes, values_max: int) -> None:
        self.values = b"%b %d:%b" % (self.values, sequence, value)
        if self.values.count(b" ") > values_max:
            self.values = self.values[self.values.index(b" ", 1) :]

    def _value_of(self, sequence: int) -> Result:
        begin = b"%d:" % sequence
        return next((pair[len(begin) :] for pair in self._pairs() if pair.startswith(begin)), None)

    def _pairs(self) -> list[bytes]:
        return self.values.split()


def _of_runs(runs: Sequence[Run], runs_max: int, floor: int) -> KnownRequests:
    """One that knows the latest of these runs, two chapters at the most."""
    known = KnownRequests()
    is_open = bool(runs) and floor <= runs[-1].last
    closed, last = (runs[:-1], runs[-1:]) if is_open else (runs, [])
    forgotten, older, newer = closed[: -2 * runs_max], closed[-2 * runs_max : -runs_max], closed[-runs_max:]
    known.floor = max([floor, *(run.last for run in forgotten[-1:])])
    known.older, known.older_last = encode_runs(older), max([run.last for run in older[-1:]], default=0)
    known.closed, known.closed_last = encode_runs(newer), max([run.last for run in newer[-1:]], default=0)
    known.runs = len(newer)
    known.newest = known.floor
    for run in last:
        known.first, known.newest, known.kind = run
    return known


def _sequence_of(pair: bytes) -> int:
    return int(pair.partition(b":")[0])


def _joined(pairs: Iterable[bytes]) -> bytes:
    return b"".join(b" " + pair for pair in pairs)
