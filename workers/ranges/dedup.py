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
        return next(reversed(self.lsns), self.floor)

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
            client.floor = next(iter(client.lsns))
            del client.lsns[client.floor]
            client.results.pop(client.floor, None)
        if len(self._clients) > self._clients_max:
            del self._clients[next(iter(self._clients))]
            self._forgot = True

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
