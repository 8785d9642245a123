"""The dedup window of a segment: which requests of which clients were applied, so that a retry applies nothing twice.

A client has one write at a time under way to a segment, and numbers them upwards. So what lies below its newest and is
not known was given up by the client, or is older than the window: applied now, it could undo a later write that was
acknowledged.

    sequence known to its client                        DUPLICATE; TOO_OLD if it is BARRED, or its value is forgotten
    below the client's newest                           TOO_OLD
    client unknown, retry, and clients were forgotten   TOO_OLD; also if only one of two joined windows knows it
    otherwise                                           NEW

What is known of one client is bounded (known_requests.py), and so is the window (WindowLimits). When it has no more
room, the half of the clients that was silent longest is reduced to the newest number of each, which is enough to apply
nothing twice; if that is not enough, clients are forgotten, and from then on a retry of an unknown client cannot be
judged. A client silent for a day is reduced, too.

With a sequence is kept what its retry is to be told, if that is more than that it was applied:

    the value of a counter    INCREMENT, as long as its client has not made DEDUP_VALUES more
    FAILED                    a condition did not hold; nothing was logged
    BARRED                    somebody was told that it was not applied: so it never is

The LSN of a request is kept until it is durable: before, nobody may be told, and no manifest may say so.

Windows of parents and children share what they know of a client until one of them learns more.

Document (of a manifest, and on the way to the owner of a child), clients from the one silent longest to the latest:

    forgot     whether clients were forgotten
    clients    KnownRequests.to_plain of each; or, as manifests before version 4 had it and as a tool writes it easily,
               four fields: number, floor, LSNs by sequence in ascending order, results by sequence
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from enum import Enum
from itertools import islice
from typing import Any, NamedTuple

from shardstore.identifiers import RequestId
from shardstore.limits import DEDUP_BYTES_MAX, DEDUP_CLIENTS, DEDUP_MINUTES, DEDUP_VALUES, DEDUP_WINDOW
from shardstore.workers.ranges.known_requests import KnownRequests
from shardstore.workers.ranges.results import Result
from shardstore.workers.ranges.sequence_runs import BARRED_FOR_GOOD, COUNTED

_PLAIN_FIELDS = 4


class WindowLimits(NamedTuple):
    """Bounds of a window: of each client runs a chapter, values, minutes of silence; how many clients; memory."""

    runs: int = DEDUP_WINDOW
    clients: int = DEDUP_CLIENTS
    values: int = DEDUP_VALUES
    minutes: int = DEDUP_MINUTES
    bytes_max: int = DEDUP_BYTES_MAX


LIMITS = WindowLimits()


class Verdict(Enum):
    """What a write request is, judged by its id."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_OLD = "too old"


class Noted(NamedTuple):
    """What is known of a request: the LSN that must be durable before anybody is told, 0 if it is; and what to tell."""

    lsn: int
    result: Result


class DedupWindow:
    """Requests applied to one segment. `size_bytes` is the memory it takes, roughly, also what it shares."""

    def __init__(self, limits: WindowLimits | None = None) -> None:
        self._limits = limits or LIMITS
        self._clients: dict[int, KnownRequests] = {}
        """The first is the one silent longest."""
        self._unsynced: deque[tuple[int, int, int]] = deque()
        """LSN, client and sequence of requests that a crash could undo, and of some that were made durable since."""
        self._forgot = False
        self._minute = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        """How many clients it knows."""
        return len(self._clients)

    @property
    def clients(self) -> Collection[KnownRequests]:
        """What is known of each client, the one silent longest first."""
        return self._clients.values()

    def judge(self, request: RequestId, retry: bool) -> Verdict:
        """What to do with a write request."""
        client, sequence = request
        known = self._clients.get(client)
        if known is None:
            return Verdict.TOO_OLD if retry and self._forgot else Verdict.NEW
        if sequence > known.newest:
            return Verdict.TOO_OLD if retry and known.is_doubtful else Verdict.NEW
        kind = known.kind_of(sequence)
        if kind is None or kind == BARRED_FOR_GOOD:
            return Verdict.TOO_OLD
        if kind == COUNTED and known.result_of(sequence, kind) is None:
            return Verdict.TOO_OLD
        return Verdict.DUPLICATE

    def noted(self, request: RequestId) -> Noted | None:
        """What is known of a request."""
        known = self._clients.get(request.client)
        kind = known.kind_of(request.sequence) if known else None
        if known is None or kind is None:
            return None
        lsns = [lsn for lsn, *noted in self._unsynced if noted == [*request]]
        return Noted(max(lsns, default=0), known.result_of(request.sequence, kind))

    def has_forgotten(self, request: RequestId) -> bool:
        """Whether a request that is not noted may have been, once."""
        known = self._clients.get(request.client)
        return self._forgot if known is None else known.is_doubtful or request.sequence <= known.floor

    def note(self, request: RequestId, lsn: int, lsn_durable: int, result: Result = None) -> None:
        """Remember a request that was judged NEW. The log is durable up to `lsn_durable`."""
        client, sequence = request
        known = self._clients.pop(client, None)
        if known is None or known.is_shared or known.is_doubtful:
            known = self._own(known, sequence)
        known.minute = self._minute
        self._clients[client] = known
        limits = self._limits
        self.size_bytes += known.note(sequence, result, limits.runs, limits.values)
        unsynced = self._unsynced
        while unsynced and unsynced[0][0] <= lsn_durable:
            unsynced.popleft()
        if lsn > lsn_durable:
            unsynced.append((lsn, client, sequence))
        if len(self._clients) > limits.clients:
            self._forget()
        if self.size_bytes > limits.bytes_max:
            self.shrink(limits.bytes_max - limits.bytes_max // 8)

    def note_again(self, request: RequestId, lsn: int, result: Result) -> None:
        """Remember a request that was replayed from the log, unless the manifest knew it already."""
        known = self._clients.get(request.client)
        if known is None or request.sequence > known.newest:
            self.note(request, lsn, lsn, result)

    def pass_minute(self) -> None:
        """A minute has passed: reduce who was silent for too long."""
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
        """Reduce, then forget who was silent longest, until the window takes no more than this.

        The other half is not reduced: from these a retry may still come.
        """
        for client in list(islice(self._clients, len(self._clients) // 2)):
            if self.size_bytes <= bytes_max:
                return
            self._reduce(client)
        while self._clients and self.size_bytes > bytes_max:
            self._forget()

    @classmethod
    def joined(cls, windows: Sequence[DedupWindow], lsn_durable: int) -> DedupWindow:
        """One window of several, the later above the earlier: what any of them knows, this one knows.

        Their log is durable up to `lsn_durable`. A sequence that one of them knows and another has passed is known; one
        that none knows counts from the highest.
        """
        whole = cls()
        whole._minute = max([window._minute for window in windows], default=0)
        unsynced = {noted for window in windows for noted in window._unsynced if noted[0] > lsn_durable}
        whole._unsynced = deque(sorted(unsynced))  # those of a former parent stand in each of its children
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

    def to_carry(self) -> dict[str, Any]:
        """For the owner of a child, and its manifest: every request known is durable."""
        return self._document({})

    def to_document(self, lsn_durable: int) -> dict[str, Any]:
        """For the manifest: requests logged up to `lsn_durable`, since later ones may yet be undone."""
        undone: dict[int, int] = {}
        for lsn, client, sequence in self._unsynced:
            if lsn > lsn_durable:
                undone.setdefault(client, sequence)
        return self._document(undone)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> DedupWindow:
        """Inverse of both; an empty document is an empty window."""
        window = cls()
        limits = window._limits
        window._forgot = document.get("forgot", False)
        for fields in document.get("clients", []):
            if len(fields) == _PLAIN_FIELDS:
                number, floor, lsns, results = fields
                known = KnownRequests.from_results(floor, lsns, results, limits.runs, limits.values)
            else:
                number, known = fields[0], KnownRequests.from_plain(fields)
            window._clients[number] = known
        window._bound()
        return window

    def _own(self, known: KnownRequests | None, sequence: int) -> KnownRequests:
        """One to change, for a request that is NEW: made anew, or a copy of one that others have too."""
        if known is not None:
            return known.resolved(sequence) if known.is_doubtful else known.copy()
        known = KnownRequests()
        self.size_bytes += known.size_bytes
        return known.resolved(sequence) if self._forgot else known

    def _bound(self) -> None:
        """Bring what was taken over as a whole within the limits."""
        self.size_bytes = sum([known.size_bytes for known in self._clients.values()])
        while len(self._clients) > self._limits.clients:
            self._forget()
        self.shrink(self._limits.bytes_max)

    def _forget(self) -> None:
        """Forget the client silent longest."""
        self.size_bytes -= self._clients.pop(next(iter(self._clients))).size_bytes
        self._forgot = True

    def _reduce(self, client: int) -> None:
        known = self._clients[client]
        self._clients[client] = reduced = known.reduced()
        self.size_bytes += reduced.size_bytes - known.size_bytes

    def _take_all(self, window: DedupWindow) -> None:
        """Know what another window knows, too."""
        limits = self._limits
        minutes = self._minute - window._minute
        for client, known in window._clients.items():
            known.is_shared = True
            theirs = known.later(minutes) if minutes else known
            mine = self._clients.pop(client, None)
            self._clients[client] = mine.united(theirs, limits.runs, limits.values) if mine else theirs

    def _document(self, undone: dict[int, int]) -> dict[str, Any]:
        """`undone`: for some clients, the first sequence that is left out."""
        clients = []
        for number, newest in self._clients.items():
            known = newest.before(undone[number], self._limits.runs) if number in undone else newest
            if known.newest:
                clients.append(known.to_plain(number, self._minute))
        return {"forgot": self._forgot, "clients": clients}
