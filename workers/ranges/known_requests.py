"""The requests of one client to one segment, in a few bytes for each span of sequences.

    known     older chapter | closed spans of the newer chapter | open span, which ends with `newest`

A chapter has a maximum number of spans. When the newer one is full it becomes the older one, and the former older one
is forgotten; `floor` is the highest forgotten sequence. A client that writes to one range only has consecutive
sequences, which take a single span. For any other client, at least as many requests are known as a chapter has spans.

For the latest increments the resulting values are kept as well (`values`: b" sequence:value" of each, joined). A client
never retries an increment after that many newer ones. What a client took last is kept until its next write, as a client
has one write under way to a segment; there may be more after ranges were merged (`taken`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from shardstore.workers.ranges.results import BARRED, FAILED, Taken, WriteResult
from shardstore.workers.ranges.sequence_spans import (
    APPLIED,
    BARRED_FOR_GOOD,
    COUNTED,
    FAILED_CONDITION,
    RequestNumbers,
    SequenceSpan,
    below,
    decode_spans,
    encode_span,
    encode_span_columns,
    encode_spans,
    joined_spans,
    united,
)

PLACE_BYTES = 130
"""Memory that a client takes in the map of a window."""
CLIENT_BYTES = PLACE_BYTES + 200
"""Memory of a client including this object and its numbers, but without chapters and values."""
TAKEN_OVERHEAD_BYTES = 250
"""Memory of an entry that is kept as taken, besides its key and value."""
_NOTHING = -1
_RESULTS: dict[int, WriteResult] = {APPLIED: None, FAILED_CONDITION: FAILED, BARRED_FOR_GOOD: BARRED, COUNTED: None}
_KINDS: dict[WriteResult, int] = {None: APPLIED, FAILED: FAILED_CONDITION, BARRED: BARRED_FOR_GOOD}


_FIELDS = (
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
    "spans",
    "taken",
    "values",
)


class KnownRequests:
    """The record of one client. `newest` is the highest sequence noted, `minute` the window's minute at that time.

    `is_shared`: other windows hold this object too, so it must be copied before a change. `is_doubtful`: forgotten
    requests of the client may lie above `newest`.

    Invariants: spans ascend, and do not overlap; `older_last`, `closed_last` and `spans` say what the chapters hold;
    `newest` ends the open span, or is the `floor` if there is none, and is never below it; the sequences of `values`
    ascend, up to `newest` at most, and so do those of `taken`.
    """

    __slots__ = _FIELDS

    def __init__(self) -> None:
        self.minute = 0
        self.floor = 0
        self.older = b""
        self.older_last = 0
        self.closed = b""
        self.closed_last = 0
        self.spans = 0
        self.first = 0
        self.newest = 0
        self.kind = _NOTHING
        self.values = b""
        self.taken: tuple[tuple[int, Taken], ...] = ()
        self.is_doubtful = False
        self.is_shared = False

    @property
    def size_bytes(self) -> int:
        """About the memory that it takes."""
        return CLIENT_BYTES + len(self.older) + len(self.closed) + len(self.values) + _size_of(self.taken)

    def note(self, sequence: int, result: WriteResult, spans_max: int, values_max: int) -> int:
        """Remember a sequence above `newest`. Returns by how many bytes the record has grown."""
        kind = _KINDS.get(result, COUNTED)
        goes_on = sequence == self.newest + 1 and kind == self.kind
        if goes_on and kind != COUNTED:
            self.newest = sequence
            return 0
        grown_bytes = -_size_of(self.taken)
        self.taken = ()
        if goes_on:
            self.newest = sequence
        else:
            grown_bytes += self._begin_span(sequence, kind, spans_max)
        if isinstance(result, Taken):
            self.taken = ((sequence, result),)
            grown_bytes += _size_of(self.taken)
        elif result and kind == COUNTED:
            before_bytes = len(self.values)
            self._note_value(sequence, result, values_max)
            grown_bytes += len(self.values) - before_bytes
        return grown_bytes

    def note_applied(self, sequences: RequestNumbers, spans_max: int, values_max: int) -> int:
        """Remember applied writes: ascending sequences above `newest`. Returns by how much the record has grown."""
        gaps = sequences[1:] - sequences[:-1] != 1
        firsts, lasts = sequences[np.append(True, gaps)], sequences[np.append(gaps, True)]
        grown_bytes = self.note(int(firsts[0]), None, spans_max, values_max)
        self.newest = int(lasts[0])
        if len(firsts) > 1:
            before_bytes = self.size_bytes
            firsts[0] = self.first
            self._close_spans(firsts[:-1], lasts[:-1], spans_max)
            self.first, self.newest = int(firsts[-1]), int(lasts[-1])
            grown_bytes += self.size_bytes - before_bytes
        return grown_bytes

    def kind_of(self, sequence: int) -> int | None:
        """How the request ended, as a kind of span; None if it is unknown."""
        if self.first <= sequence <= self.newest and self.kind != _NOTHING:
            return self.kind
        return next((span.kind for span in self._all_spans() if span.first <= sequence <= span.last), None)

    def result_of(self, sequence: int, kind: int) -> WriteResult:
        """The result of a known request of this kind; None also for one whose value was forgotten."""
        if kind != COUNTED:
            return _RESULTS[kind]
        return dict(self.taken).get(sequence) or self._value_of(sequence)

    def copy(self) -> KnownRequests:
        """A copy that is not shared."""
        copied = KnownRequests()
        for name in _FIELDS:
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

    def before(self, sequence: int, spans_max: int) -> KnownRequests:
        """A copy as it was before this sequence was noted."""
        kept = _of_spans(below(self._all_spans(), sequence), spans_max, self.floor)
        kept.minute, kept.is_doubtful = self.minute, self.is_doubtful
        kept.values = _joined(pair for pair in self._pairs() if _sequence_of(pair) < sequence)
        kept.taken = tuple([each for each in self.taken if each[0] < sequence])
        return kept

    def united(self, newer: KnownRequests, spans_max: int, values_max: int) -> KnownRequests:
        """The union of this record and another one of the same client, with the higher floor and newest sequence."""
        spans = united(self._all_spans(), newer._all_spans())
        whole = _of_spans(spans, spans_max, max(self.floor, newer.floor))
        whole.minute = max(self.minute, newer.minute)
        whole.is_doubtful = self.is_doubtful or newer.is_doubtful
        pairs = sorted({*self._pairs(), *newer._pairs()}, key=_sequence_of)
        whole.values = _joined(pairs[-values_max:])
        whole.taken = tuple(sorted({*self.taken, *newer.taken})[-values_max:])
        return whole

    def to_plain(self, number: int, minute: int) -> list[Any]:
        """The fields for a document: the client's number, its minutes of silence, and all else.

        Sequence, key and value of each entry that is kept as taken come last.
        """
        closed = [self.older, self.older_last, self.closed, self.closed_last, self.spans]
        latest = [self.first, self.newest, self.kind + 1, self.values]
        taken = [field for sequence, entry in self.taken for field in (sequence, *entry)]
        return [number, minute - self.minute, self.is_doubtful, self.floor, *closed, *latest, *taken]

    @classmethod
    def from_plain(cls, fields: Sequence[Any]) -> KnownRequests:
        """Inverse of to_plain, without the client's number, for a window in its first minute."""
        known = cls()
        silent, known.is_doubtful, known.floor = fields[1:4]
        known.older, known.older_last, known.closed, known.closed_last, known.spans = fields[4:9]
        known.first, known.newest, kind, known.values = fields[9:13]
        taken = fields[13:]
        known.taken = tuple(zip(taken[::3], map(Taken, taken[1::3], taken[2::3]), strict=True))
        known.minute, known.kind = -silent, kind - 1
        return known

    @classmethod
    def from_results(
        cls, floor: int, sequences: Iterable[int], results: dict[int, bytes], spans_max: int, values_max: int
    ) -> KnownRequests:
        """A record of these sequences, which are in ascending order, with the `results` of some of them."""
        kinds = ((sequence, _KINDS.get(results.get(sequence), COUNTED)) for sequence in sequences)
        known = _of_spans(
            joined_spans(SequenceSpan(sequence, sequence, kind) for sequence, kind in kinds), spans_max, floor
        )
        counted = [(sequence, value) for sequence, value in results.items() if value not in _KINDS]
        known.values = _joined(b"%d:%b" % pair for pair in sorted(counted)[-values_max:])
        return known

    def check_invariants(self, spans_max: int, values_max: int) -> None:
        """Raise AssertionError if an invariant of this class does not hold. The limits are those of `note`."""
        older, closed = decode_spans(self.older), decode_spans(self.closed)
        spans = [*older, *closed, *self._open_span()]
        assert all(one.last < following.first for one, following in pairwise(spans)), "spans overlap or descend"
        lasts = [chapter[-1].last if chapter else 0 for chapter in (older, closed)]
        assert lasts == [self.older_last, self.closed_last], "a chapter ends elsewhere"
        assert len(closed) == self.spans <= spans_max, "spans are miscounted, or too many"
        assert self.floor <= self.newest, "what was forgotten lies above the newest"
        assert self.kind != _NOTHING or self.newest == self.floor, "the newest is neither known nor forgotten"
        taken = [sequence for sequence, _ in self.taken]
        assert taken == sorted({*taken}), "what was taken is out of order"
        assert len(taken) <= values_max, "too many entries are kept as taken"
        assert not taken or taken[-1] <= self.newest, "an unknown request has taken an entry"
        if self.values:
            valued = [_sequence_of(pair) for pair in self._pairs()]
            assert len(valued) <= values_max, "too many values are kept"
            assert valued == sorted({*valued}), "values are out of order"
            assert valued[-1] <= self.newest, "a value is that of an unknown request"

    def _begin_span(self, sequence: int, kind: int, spans_max: int) -> int:
        """Close the open span, if there is one, and open another. Returns by how many bytes the record has grown."""
        grown_bytes = 0
        if self.kind != _NOTHING:
            closed = encode_span(self.first, self.newest, self.kind, self.closed_last)
            self.closed += closed
            self.closed_last = self.newest
            self.spans += 1
            grown_bytes = len(closed)
            if self.spans >= spans_max:
                grown_bytes -= len(self.older)
                self._begin_chapter()
        self.first = self.newest = sequence
        self.kind = kind
        return grown_bytes

    def _close_spans(self, firsts: RequestNumbers, lasts: RequestNumbers, spans_max: int) -> None:
        """Add applied spans to the chapters. Those before the last whole chapter are forgotten at once."""
        chapters = (self.spans + len(firsts)) // spans_max
        if chapters > 1:
            forgotten = (chapters - 1) * spans_max - self.spans
            self.older, self.older_last = b"", int(lasts[forgotten - 1])
            self.closed, self.closed_last, self.spans = b"", 0, 0
            firsts, lasts = firsts[forgotten:], lasts[forgotten:]
        while len(firsts):
            room = spans_max - self.spans
            self.closed += encode_span_columns(firsts[:room], lasts[:room], APPLIED, self.closed_last)
            self.closed_last = int(lasts[:room][-1])
            self.spans += len(firsts[:room])
            if self.spans >= spans_max:
                self._begin_chapter()
            firsts, lasts = firsts[room:], lasts[room:]

    def _begin_chapter(self) -> None:
        """Forget the older chapter. The newer one takes its place."""
        self.floor = max(self.floor, self.older_last)
        self.older, self.older_last = self.closed, self.closed_last
        self.closed, self.closed_last, self.spans = b"", 0, 0

    def _all_spans(self) -> list[SequenceSpan]:
        return [*decode_spans(self.older), *decode_spans(self.closed), *self._open_span()]

    def _open_span(self) -> list[SequenceSpan]:
        return [] if self.kind == _NOTHING else [SequenceSpan(self.first, self.newest, self.kind)]

    def _note_value(self, sequence: int, value: bytes, values_max: int) -> None:
        self.values = b"%b %d:%b" % (self.values, sequence, value)
        if self.values.count(b" ") > values_max:
            self.values = self.values[self.values.index(b" ", 1) :]

    def _value_of(self, sequence: int) -> WriteResult:
        begin = b"%d:" % sequence
        return next((pair[len(begin) :] for pair in self._pairs() if pair.startswith(begin)), None)

    def _pairs(self) -> list[bytes]:
        return self.values.split()


def _of_spans(spans: Sequence[SequenceSpan], spans_max: int, floor: int) -> KnownRequests:
    """A record of the latest of these spans: an open span and at most two chapters."""
    known = KnownRequests()
    is_open = bool(spans) and floor <= spans[-1].last
    closed, last = (spans[:-1], spans[-1:]) if is_open else (spans, [])
    forgotten, older, newer = closed[: -2 * spans_max], closed[-2 * spans_max : -spans_max], closed[-spans_max:]
    known.floor = max([floor, *(span.last for span in forgotten[-1:])])
    known.older, known.older_last = encode_spans(older), max([span.last for span in older[-1:]], default=0)
    known.closed, known.closed_last = encode_spans(newer), max([span.last for span in newer[-1:]], default=0)
    known.spans = len(newer)
    known.newest = known.floor
    for span in last:
        known.first, known.newest, known.kind = span
    return known


def _size_of(taken: Sequence[tuple[int, Taken]]) -> int:
    """About the memory of entries that are kept as taken."""
    return sum([TAKEN_OVERHEAD_BYTES + len(entry.key) + len(entry.value) for _, entry in taken]) if taken else 0


def _sequence_of(pair: bytes) -> int:
    return int(pair.partition(b":")[0])


def _joined(pairs: Iterable[bytes]) -> bytes:
    return b"".join(b" " + pair for pair in pairs)
