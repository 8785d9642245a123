"""The dedup window of a segment: which requests of which clients were applied, so that a retry applies nothing twice.

A client has one write at a time under way to a segment, with ascending sequences. So an unknown sequence below the
client's newest was given up by the client, or is older than the window. If it were applied now, it could undo a later
write that was acknowledged.

    sequence is known                                   DUPLICATE; TOO_OLD if it is BARRED, or its value is forgotten
    unknown, below the client's newest                  TOO_OLD
    above the newest, a retry, and client is doubtful   TOO_OLD (see KnownRequests.is_doubtful)
    client unknown, a retry, and clients forgotten      TOO_OLD
    otherwise                                           NEW

What is kept of one client is bounded (known_requests.py), and so is the window (WindowLimits). If the window is full,
the half of the clients that was silent longest is reduced to their newest sequences, which is enough to apply nothing
twice. If that does not suffice, clients are forgotten; from then on a retry of an unknown client cannot be judged. A
client that was silent for a day is reduced, too.

A sequence is kept with the result that a retry gets, unless the write was just applied:

    the value of a counter    INCREMENT, until its client has made DEDUP_VALUES more
    Taken                     TAKE, until the next write of its client
    FAILED                    a condition did not hold, or nothing was there to take; nothing was logged
    BARRED                    a client was told that the write was not applied, so it never may be

The LSN of a request is kept until it is durable. Until then no reply and no manifest may say that it was applied.

Windows of parents and children share the record of a client until one of them changes it.

Document (in a manifest, or sent to the owner of a child), with the client that was silent longest first:

    forgot     whether clients were forgotten
    clients    KnownRequests.to_plain of each; or four fields, as in manifests before version 4: the client's number,
               floor, LSNs by sequence in ascending order, results by sequence
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from enum import Enum
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from shardstore.identifiers import RequestId
from shardstore.limits import DEDUP_BYTES_MAX, DEDUP_CLIENTS, DEDUP_MINUTES, DEDUP_VALUES, DEDUP_WINDOW
from shardstore.workers.ranges.known_requests import CLIENT_BYTES, KnownRequests
from shardstore.workers.ranges.results import WriteResult
from shardstore.workers.ranges.sequence_spans import BARRED_FOR_GOOD, COUNTED, SPAN_BYTES_MAX, RequestNumbers

_PLAIN_FIELDS = 4
MANY = 16
"""From this many requests of each client on, array operations are faster than one request after the other."""
REQUEST_BYTES_MAX = CLIENT_BYTES + SPAN_BYTES_MAX
"""Maximum memory that one more applied request takes."""
_first = itemgetter(0)


class WindowLimits(NamedTuple):
    """Limits of a window. Of each client: spans in a chapter, values, minutes of silence. In all: clients, memory."""

    spans: int = DEDUP_WINDOW
    clients: int = DEDUP_CLIENTS
    values: int = DEDUP_VALUES
    minutes: int = DEDUP_MINUTES
    bytes_max: int = DEDUP_BYTES_MAX


LIMITS = WindowLimits()


class DedupVerdict(Enum):
    """What a window says of a write request."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_OLD = "too old"


_NEW = DedupVerdict.NEW
"""The usual verdict, without looking it up in the enumeration, which costs more than to judge."""


class Noted(NamedTuple):
    """A known request: its result, and the LSN that must be durable before a reply may give it; 0 if it is durable."""

    lsn: int
    result: WriteResult


class DedupWindow:
    """The requests applied to one segment. `size_bytes` is about the memory it takes, including what it shares.

    Invariants: the client that was silent longest comes first; `size_bytes` is the sum over the clients; both their
    number and their memory are within the limits; the LSNs in `_unsynced` do not descend.
    """

    def __init__(self, limits: WindowLimits | None = None) -> None:
        self._limits = limits or LIMITS
        self._clients: dict[int, KnownRequests] = {}
        """The client that was silent longest comes first."""
        self._unsynced: deque[tuple[int, int, int]] = deque()
        """LSN, client and sequence of each request that a crash could undo, and of some that are durable by now."""
        self._forgot = False
        self._minute = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        """Number of known clients."""
        return len(self._clients)

    @property
    def clients(self) -> Collection[KnownRequests]:
        """The record of each client, the one that was silent longest first."""
        return self._clients.values()

    def judge(self, request: RequestId, retry: bool) -> DedupVerdict:
        """Whether a write request is new, a duplicate or too old. `retry`: it may have been sent before."""
        sequence = request.sequence
        known = self._clients.get(request.client)
        if known is None:
            return DedupVerdict.TOO_OLD if retry and self._forgot else _NEW
        if sequence > known.newest:
            return DedupVerdict.TOO_OLD if retry and known.is_doubtful else _NEW
        kind = known.kind_of(sequence)
        if kind is None or kind == BARRED_FOR_GOOD:
            return DedupVerdict.TOO_OLD
        if kind == COUNTED and known.result_of(sequence, kind) is None:
            return DedupVerdict.TOO_OLD
        return DedupVerdict.DUPLICATE

    def noted(self, request: RequestId) -> Noted | None:
        """The result of a known request; None if the request is unknown."""
        known = self._clients.get(request.client)
        kind = known.kind_of(request.sequence) if known else None
        if known is None or kind is None:
            return None
        lsns = [lsn for lsn, *noted in self._unsynced if noted == [*request]]
        return Noted(max(lsns, default=0), known.result_of(request.sequence, kind))

    def has_forgotten(self, request: RequestId) -> bool:
        """Whether an unknown request may have been known once."""
        known = self._clients.get(request.client)
        return self._forgot if known is None else known.is_doubtful or request.sequence <= known.floor

    def note(self, request: RequestId, lsn: int, lsn_durable: int, result: WriteResult = None) -> None:
        """Remember a request that was judged NEW. The log is durable up to `lsn_durable`."""
        client, sequence = request
        limits = self._limits
        known = self._clients.pop(client, None)
        is_new = known is None
        if known is None or known.is_shared or known.is_doubtful:
            known = self._own(known, sequence)
        known.minute = self._minute
        self._clients[client] = known
        grown_bytes = known.note(sequence, result, limits.spans, limits.values)
        unsynced = self._unsynced
        while unsynced and unsynced[0][0] <= lsn_durable:
            unsynced.popleft()
        if lsn > lsn_durable:
            unsynced.append((lsn, client, sequence))
        if grown_bytes or is_new:
            self._grow(grown_bytes)

    def note_again(self, request: RequestId, lsn: int, result: WriteResult) -> None:
        """Remember a request replayed from the log, unless the window of the manifest has it already."""
        known = self._clients.get(request.client)
        if known is None or request.sequence > known.newest:
            self.note(request, lsn, lsn, result)

    def note_all_again(
        self, clients: RequestNumbers, sequences: RequestNumbers, results: Sequence[WriteResult], lsn: int
    ) -> None:
        """Remember requests as `note_again` does, one after the other. `lsn`: that of the last one.

        If all were just applied, those of a client are remembered together; not if there are few of each, or if the
        window is about to reach its limits.
        """
        if len(clients) >= MANY and results.count(None) == len(clients):
            writers = len(np.unique(clients))
            most_bytes = self.size_bytes + len(clients) * REQUEST_BYTES_MAX
            is_roomy = len(self._clients) + writers <= self._limits.clients and most_bytes <= self._limits.bytes_max
            if is_roomy and len(clients) >= MANY * writers:
                self._note_applied(clients, sequences, lsn)
                return
        for client, sequence, result in zip(clients.tolist(), sequences.tolist(), results, strict=True):
            self.note_again(RequestId(client, sequence), lsn, result)

    def pass_minute(self) -> None:
        """Count a minute, and reduce the clients that have been silent for too long."""
        self._minute += 1
        silent = []
        for client, known in self._clients.items():
            if self._minute - known.minute <= self._limits.minutes:
                break
            if known.floor < known.newest:
                silent.append(client)
        for client in silent:
            self._reduce(client)

    def shrink(self, bytes_max: int) -> None:
        """Reduce clients, then forget some, until the window takes at most `bytes_max`; the longest silent go first.

        Only half of the clients are reduced: the others may still send a retry.
        """
        for client in list(islice(self._clients, len(self._clients) // 2)):
            if self.size_bytes <= bytes_max:
                return
            self._reduce(client)
        while self._clients and self.size_bytes > bytes_max:
            self._forget()

    @classmethod
    def joined(cls, windows: Sequence[DedupWindow], lsn_durable: int) -> DedupWindow:
        """One window that knows what any of these windows knows. If two differ, the later one counts.

        Their log is durable up to `lsn_durable`. A sequence that none of them knows is new only if it is above the
        client's newest in all of them.
        """
        whole = cls()
        whole._minute = max([window._minute for window in windows], default=0)
        unsynced = {noted for window in windows for noted in window._unsynced if noted[0] > lsn_durable}
        whole._unsynced = deque(sorted(unsynced))  # the children of a split have those of their parent in common
        for window in windows:
            whole._forgot |= window._forgot
            whole._take_all(window)
        whole._clients = dict(sorted(whole._clients.items(), key=lambda item: item[1].minute))
        for window in windows:
            if window._forgot:
                for client in whole._clients.keys() - window._clients.keys():
                    whole._clients[client] = whole._clients[client].doubtful()
        whole._bound()
        return whole

    def incomplete(self) -> DedupWindow:
        """A window that knows what this one knows, and says of any client that it may have forgotten later requests."""
        window = DedupWindow()
        window._take_all(self)
        window._forgot = True
        window._clients = {client: known.doubtful() for client, known in window._clients.items()}
        window._minute, window._unsynced = self._minute, deque(self._unsynced)
        window._bound()
        return window

    def to_carry(self) -> dict[str, Any]:
        """The document for the owner of a child, and for its manifest. All known requests must be durable."""
        return self._document({})

    def to_document(self, lsn_durable: int) -> dict[str, Any]:
        """The document for the manifest: requests up to `lsn_durable`, as a crash could still undo later ones."""
        undone: dict[int, int] = {}
        for lsn, client, sequence in self._unsynced:
            if lsn > lsn_durable:
                undone.setdefault(client, sequence)
        return self._document(undone)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> DedupWindow:
        """Inverse of to_carry and to_document. An empty document gives an empty window."""
        window = cls()
        limits = window._limits
        window._forgot = document.get("forgot", False)
        for fields in document.get("clients", []):
            if len(fields) == _PLAIN_FIELDS:
                number, floor, lsns, results = fields
                known = KnownRequests.from_results(floor, lsns, results, limits.spans, limits.values)
            else:
                number, known = fields[0], KnownRequests.from_plain(fields)
            window._clients[number] = known
        window._bound()
        return window

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class, or of a client's record, does not hold."""
        limits, records = self._limits, self._clients.values()
        assert len(records) <= limits.clients, "too many clients are known"
        assert self.size_bytes == sum([known.size_bytes for known in records]), "the memory of clients is miscounted"
        assert self.size_bytes <= limits.bytes_max, "the window takes too much memory"
        minutes = [known.minute for known in records]
        assert minutes == sorted(minutes), "the client that was silent longest is not the first"
        lsns = [lsn for lsn, *_ in self._unsynced]
        assert lsns == sorted(lsns), "requests that a crash could undo are out of order"
        for known in records:
            known.check_invariants(limits.spans, limits.values)

    def _note_applied(self, clients: RequestNumbers, sequences: RequestNumbers, lsn: int) -> None:
        """Remember the requests that are above the newest of their clients. There is room for all of them."""
        order = np.argsort(clients, kind="stable")
        fresh = []
        for places in np.split(order, np.flatnonzero(np.diff(clients[order])) + 1):
            client = int(clients[places[0]])
            known = self._clients.get(client)
            rises = _rises(sequences[places])
            if known is not None:
                rises &= sequences[places] > known.newest
            if rises.any():
                fresh.append((int(places[rises][-1]), client, sequences[places][rises]))
        for _, client, numbers in sorted(fresh, key=_first):  # who wrote last becomes the last one
            known = self._writer(client, int(numbers[0]))
            self.size_bytes += known.note_applied(numbers, self._limits.spans, self._limits.values)
        self._forget_durable(lsn)

    def _writer(self, client: int, sequence: int) -> KnownRequests:
        """The record of a client, to be changed for a NEW request. The client becomes the last of all."""
        known = self._clients.pop(client, None)
        if known is None or known.is_shared or known.is_doubtful:
            known = self._own(known, sequence)
        known.minute = self._minute
        self._clients[client] = known
        return known

    def _forget_durable(self, lsn_durable: int) -> None:
        """Forget the LSNs of requests that no crash can undo any more."""
        while self._unsynced and self._unsynced[0][0] <= lsn_durable:
            self._unsynced.popleft()

    def _own(self, known: KnownRequests | None, sequence: int) -> KnownRequests:
        """A record of a client that may be changed, for a NEW request: a new one, or a copy of `known`."""
        if known is not None:
            return known.resolved(sequence) if known.is_doubtful else known.copy()
        known = KnownRequests()
        self.size_bytes += known.size_bytes
        return known.resolved(sequence) if self._forgot else known

    def _bound(self) -> None:
        """Measure the window, and bring it within the limits."""
        self.size_bytes = sum([known.size_bytes for known in self._clients.values()])
        while len(self._clients) > self._limits.clients:
            self._forget()
        self.shrink(self._limits.bytes_max)

    def _grow(self, grown_bytes: int) -> None:
        """Note that a client has come, or that the record of one has grown."""
        self.size_bytes += grown_bytes
        if len(self._clients) > self._limits.clients:
            self._forget()
        bytes_max = self._limits.bytes_max
        if self.size_bytes > bytes_max:
            self.shrink(bytes_max - bytes_max // 8)

    def _forget(self) -> None:
        """Forget the client that was silent longest."""
        self.size_bytes -= self._clients.pop(next(iter(self._clients))).size_bytes
        self._forgot = True

    def _reduce(self, client: int) -> None:
        known = self._clients[client]
        self._clients[client] = reduced = known.reduced()
        self.size_bytes += reduced.size_bytes - known.size_bytes

    def _take_all(self, window: DedupWindow) -> None:
        """Add everything that another window knows."""
        limits = self._limits
        minutes = self._minute - window._minute
        for client, known in window._clients.items():
            known.is_shared = True
            theirs = known.later(minutes) if minutes else known
            mine = self._clients.pop(client, None)
            self._clients[client] = mine.united(theirs, limits.spans, limits.values) if mine else theirs

    def _document(self, undone: dict[int, int]) -> dict[str, Any]:
        """The document. `undone`: for some clients, the first sequence to leave out."""
        clients = []
        for number, newest in self._clients.items():
            known = newest.before(undone[number], self._limits.spans) if number in undone else newest
            if known.newest:
                clients.append(known.to_plain(number, self._minute))
        return {"forgot": self._forgot, "clients": clients}


def _rises(numbers: RequestNumbers) -> npt.NDArray[np.bool_]:
    """For each number, whether it is above all before it."""
    rises = np.ones(len(numbers), np.bool_)
    rises[1:] = numbers[1:] > np.maximum.accumulate(numbers)[:-1]
    return rises
