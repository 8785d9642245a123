"""The dedup window of a segment: which requests of which clients were applied, so that a retry applies nothing twice.

Per client the last DEDUP_WINDOW sequences are known, each with the LSN that logged it. A client has one write at a
time under way to a segment, and numbers them upwards. So what lies below its newest and is not known was given up by
the client, or is older than the window: applied now, it could undo a later write that was acknowledged. When more than
DEDUP_CLIENTS clients write to a segment, the one that was silent longest is forgotten; from then on a retry of an
unknown client cannot be judged.

    sequence known to its client                        DUPLICATE; TOO_OLD if it is BARRED
    below the client's newest                           TOO_OLD
    client unknown, retry, and clients were forgotten   TOO_OLD
    otherwise                                           NEW

With a sequence is kept, besides its LSN, what its retry is to be told, if that is more than that it was applied:

    the value of a counter    INCREMENT
    FAILED                    a condition did not hold; nothing was logged, and the LSN is that of the log at the time
    BARRED                    somebody was told that it was not applied: so it never is
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from shardstore.identifiers import RequestId
from shardstore.limits import DEDUP_CLIENTS, DEDUP_WINDOW
from shardstore.outcome import Ending

Result: TypeAlias = bytes | None
"""What a retry is to be told; None that the write was applied."""
FAILED = b""
BARRED = b"-"
"""Neither is the value of a counter."""


class Verdict(Enum):
    """What a write request is, judged by its id."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_OLD = "too old"


class Noted(NamedTuple):
    """What is known of a request: the LSN that must be durable before anybody is told, and what to tell."""

    lsn: int
    result: Result


def ending_of(result: Result) -> Ending:
    """Whether a request with this result was applied."""
    return Ending.NOT_APPLIED if result in (FAILED, BARRED) else Ending.APPLIED


class _Client:
    """Sequences of one client: LSN by sequence, both ascending; results of some; and the highest sequence forgotten."""

    __slots__ = ("floor", "lsns", "results")

    def __init__(self, floor: int, lsns: dict[int, int], results: dict[int, bytes]) -> None:
        self.floor = floor
        self.lsns = lsns
        self.results = results

    @property
    def newest(self) -> int:
        """The highest sequence that was ever noted."""
        return max(self.floor, next(reversed(self.lsns), 0))

    def to_plain(self, number: int, lsn_max: int) -> list[Any]:
        """For the manifest: what was noted up to this LSN."""
        lsns = {sequence: lsn for sequence, lsn in self.lsns.items() if lsn <= lsn_max}
        return [number, self.floor, lsns, {at: result for at, result in self.results.items() if at in lsns}]


class DedupWindow:
    """Requests applied to one segment. Bounded: DEDUP_CLIENTS clients of DEDUP_WINDOW sequences."""

    def __init__(self, window: int = DEDUP_WINDOW, clients: int = DEDUP_CLIENTS) -> None:
        self._window = window
        self._clients_max = clients
        self._clients: dict[int, _Client] = {}
        self._forgot = False

    def judge(self, request: RequestId, retry: bool) -> Verdict:
        """What to do with a write request."""
        client = self._clients.get(request.client)
        if client is None:
            return Verdict.TOO_OLD if retry and self._forgot else Verdict.NEW
        if request.sequence in client.lsns:
            return Verdict.TOO_OLD if client.results.get(request.sequence) == BARRED else Verdict.DUPLICATE
        return Verdict.NEW if request.sequence > client.newest else Verdict.TOO_OLD

    def noted(self, request: RequestId) -> Noted | None:
        """What is known of a request."""
        client = self._clients.get(request.client)
        lsn = client.lsns.get(request.sequence) if client else None
        return Noted(lsn, client.results.get(request.sequence)) if client and lsn is not None else None

    def has_forgotten(self, request: RequestId) -> bool:
        """Whether a request that is not noted may have been, once."""
        client = self._clients.get(request.client)
        return self._forgot if client is None else request.sequence <= client.floor

    def note(self, request: RequestId, lsn: int, result: Result = None) -> None:
        """Remember a request that was judged NEW."""
        client = self._clients.pop(request.client, None) or _Client(0, {}, {})
        self._clients[request.client] = client  # to the end: the first client of the dict is the one silent longest
        client.lsns[request.sequence] = lsn
        if result is not None:
            client.results[request.sequence] = result
        if len(client.lsns) > self._window:
            oldest = next(iter(client.lsns))
            client.floor = max(client.floor, oldest)  # joined windows may know sequences below their floor
            del client.lsns[oldest]
            client.results.pop(oldest, None)
        if len(self._clients) > self._clients_max:
            del self._clients[next(iter(self._clients))]
            self._forgot = True

    @classmethod
    def joined(cls, windows: Sequence[DedupWindow]) -> DedupWindow:
        """One window of several, the later above the earlier: what any of them knows, this one knows.

        A sequence that one of them knows and another has passed is known; one that none knows counts from the highest.
        """
        whole = cls()
        for window in windows:
            whole._forgot |= window._forgot
            for number, client in window._clients.items():
                known = whole._clients.pop(number, None) or _Client(0, {}, {})
                lsns = dict(sorted((known.lsns | client.lsns).items()))
                whole._clients[number] = _Client(max(known.floor, client.floor), lsns, known.results | client.results)
        for client in whole._clients.values():
            for sequence in list(client.lsns)[: -whole._window]:
                client.floor = max(client.floor, sequence)
                del client.lsns[sequence]
                client.results.pop(sequence, None)
        while len(whole._clients) > whole._clients_max:
            del whole._clients[next(iter(whole._clients))]
            whole._forgot = True
        return whole

    def to_carry(self) -> dict[str, Any]:
        """Plain values for the owner of a child, who has another log: every request known is durable."""
        clients = [
            [number, client.floor, dict.fromkeys(client.lsns, 0), dict(client.results)]
            for number, client in self._clients.items()
        ]
        return {"forgot": self._forgot, "clients": clients}

    def to_document(self, lsn_max: int) -> dict[str, Any]:
        """Plain values for the manifest: requests logged up to `lsn_max`, since later ones may yet be undone."""
        clients = [client.to_plain(number, lsn_max) for number, client in self._clients.items()]
        return {"forgot": self._forgot, "clients": [client for client in clients if client[1] or client[2]]}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> DedupWindow:
        """Inverse of to_document; an empty document is an empty window."""
        window = cls()
        window._forgot = document.get("forgot", False)
        window._clients = {
            number: _Client(floor, dict(lsns), dict(results))
            for number, floor, lsns, results in document.get("clients", [])
        }
        return window
