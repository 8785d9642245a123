"""The requests of one client to one segment, in a few bytes for each run of sequences.

    known     older chapter | closed runs of the newer chapter | open run, which ends with `newest`

A chapter has a maximum number of runs. When the newer one is full it becomes the older one, and the former older one is
forgotten; `floor` is the highest forgotten sequence. A client that writes to one range only has consecutive sequences,
which take a single run. For any other client, at least as many requests are known as a chapter has runs.

For the latest increments the resulting values are kept as well (`values`: b" sequence:value" of each, joined). A client
never retries an increment after that many newer ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shardstore.workers.ranges.results import BARRED, FAILED, WriteResult
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
"""Memory that a client takes in the map of a window."""
CLIENT_BYTES = PLACE_BYTES + 200
"""Memory of a client including this object and its numbers, but without chapters and values."""
_NOTHING = -1
_RESULTS: dict[int, WriteResult] = {APPLIED: None, FAILED_CONDITION: FAILED, BARRED_FOR_GOOD: BARRED, COUNTED: None}
_KINDS: dict[WriteResult, int] = {None: APPLIED, FAILED: FAILED_CONDITION, BARRED: BARRED_FOR_GOOD}


class KnownRequests:
    """The record of one client. `newest` is the highest sequence noted, `minute` the window's minute at that time.

    `is_shared`: other windows hold this object too, so it must be copied before a change. `is_doubtful`: forgotten
    requests of the client may lie above `newest`.
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
        """About the memory that it takes."""
        return CLIENT_BYTES + len(self.older) + len(self.closed) + len(self.values)

    def note(self, sequence: int, result: WriteResult, runs_max: int, values_max: int) -> int:
        """Remember a sequence above `newest`. Returns by how many bytes the record has grown."""
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
        """How the request ended, as a kind of run; None if it is unknown."""
        if self.first <= sequence <= self.newest and self.kind != _NOTHING:
            return self.kind
        return next((run.kind for run in self._all_runs() if run.first <= sequence <= run.last), None)

    def result_of(self, sequence: int, kind: int) -> WriteResult:
        """The result of a known request of this kind; None also for an increment whose value was forgotten."""
        return self._value_of(sequence) if kind == COUNTED else _RESULTS[kind]

    def copy(self) -> KnownRequests:
        """A copy that is not shared."""
        copied = KnownRequests()
        for name in self.__slots__:
            setattr(copied, name, getattr(self, name))
        copied.is_shared = False
        return copied

    def later(self, minutes: int) -> KnownRequests:
        """A copy for a window that is older by this many minutes."""
        copied = self.copy()
        copied.minute += minutes
        return copied

    def doubtful(self) -> KnownRequests:
        """A copy that is doubtful: a window that it is joined with may have forgotten later requests of the client."""
        copied = self.copy()
        copied.is_doubtful = True
        return copied

    def resolved(self, sequence: int) -> KnownRequests:
        """A copy that is not doubtful, for a request that is no retry: all forgotten sequences are below this one."""
        copied = self.copy()
        copied.is_doubtful = False
        copied.floor = sequence - 1
        return copied

    def reduced(self) -> KnownRequests:
        """A copy with the newest sequence only: the client's earlier requests are too old."""
        kept = KnownRequests()
        kept.minute, kept.is_doubtful = self.minute, self.is_doubtful
        kept.floor = kept.newest = self.newest
        return kept

    def before(self, sequence: int, runs_max: int) -> KnownRequests:
        """A copy as it was before this sequence was noted."""
        kept = _of_runs(below(self._all_runs(), sequence), runs_max, self.floor)
        kept.minute, kept.is_doubtful = self.minute, self.is_doubtful
        kept.values = _joined(pair for pair in self._pairs() if _sequence_of(pair) < sequence)
        return kept

    def united(self, newer: KnownRequests, runs_max: int, values_max: int) -> KnownRequests:
        """The union of this record and another one of the same client, with the higher floor and newest sequence."""
        runs = united(self._all_runs(), newer._all_runs())
        whole = _of_runs(runs, runs_max, max(self.floor, newer.floor))
        whole.minute = max(self.minute, newer.minute)
        whole.is_doubtful = self.is_doubtful or newer.is_doubtful
        pairs = sorted({*self._pairs(), *newer._pairs()}, key=_sequence_of)
        whole.values = _joined(pairs[-values_max:])
        return whole

    def to_plain(self, number: int, minute: int) -> list[Any]:
        """The fields for a document: the client's number, its minutes of silence, and all else."""
        closed = [self.older, self.older_last, self.closed, self.closed_last, self.runs]
        latest = [self.first, self.newest, self.kind + 1, self.values]
        return [number, minute - self.minute, self.is_doubtful, self.floor, *closed, *latest]

    @classmethod
    def from_plain(cls, fields: Sequence[Any]) -> KnownRequests:
        """Inverse of to_plain, without the client's number, for a window in its first minute."""
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
        """A record of these sequences, which are in ascending order, with the `results` of some of them."""
        kinds = ((sequence, _KINDS.get(results.get(sequence), COUNTED)) for sequence in sequences)
        known = _of_runs(joined_runs(Run(sequence, sequence, kind) for sequence, kind in kinds), runs_max, floor)
        counted = [(sequence, value) for sequence, value in results.items() if value not in _KINDS]
        known.values = _joined(b"%d:%b" % pair for pair in sorted(counted)[-values_max:])
        return known

    def _begin_run(self, sequence: int, kind: int, runs_max: int) -> int:
        """Close the open run, if there is one, and open another. Returns by how many bytes the record has grown."""
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

    def _value_of(self, sequence: int) -> WriteResult:
        begin = b"%d:" % sequence
        return next((pair[len(begin) :] for pair in self._pairs() if pair.startswith(begin)), None)

    def _pairs(self) -> list[bytes]:
        return self.values.split()


def _of_runs(runs: Sequence[Run], runs_max: int, floor: int) -> KnownRequests:
    """A record of the latest of these runs: an open run and at most two chapters."""
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
