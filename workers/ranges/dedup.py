"""The dedup window of a segment: which requests of which clients were applied, so that a retry applies nothing twice.

Per client the last DEDUP_WINDOW sequences are known, each with the LSN that logged it. A client has one write at a
time under way to a segment, and numbers them upwards. So what lies below its newest and is not known was given up by
the client, or is older than the window: applied now, it could undo a later write that was acknowledged. When more than
DEDUP_CLIENTS clients write to a segment, the one that was silent longest is forgotten; from then on a retry of an
unknown client cannot be judged.

    sequence known to its client                        DUPLICATE
    below the client's newest                           TOO_OLD
    client unknown, retry, and clients were forgotten   TOO_OLD
    otherwise                                           NEW
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from shardstore.identifiers import RequestId
from shardstore.limits import DEDUP_CLIENTS, DEDUP_WINDOW


class Verdict(Enum):
    """What a write request is, judged by its id."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_OLD = "too old"


class _Client:
    """Sequences of one client: LSN by sequence, both ascending, and the highest sequence forgotten."""

    __slots__ = ("floor", "lsns")

    def __init__(self, floor: int, lsns: dict[int, int]) -> None:
        self.floor = floor
        self.lsns = lsns

    @property
    def newest(self) -> int:
        """The highest sequence that was ever noted."""
        return next(reversed(self.lsns), self.floor)


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
            return Verdict.DUPLICATE
        return Verdict.NEW if request.sequence > client.newest else Verdict.TOO_OLD

    def lsn_of(self, request: RequestId) -> int:
        """LSN of the record that logged a request judged DUPLICATE."""
        return self._clients[request.client].lsns[request.sequence]

    def note(self, request: RequestId, lsn: int) -> None:
        """Remember a logged request that was judged NEW."""
        client = self._clients.pop(request.client, None) or _Client(0, {})
        self._clients[request.client] = client  # to the end: the first client of the dict is the one silent longest
        client.lsns[request.sequence] = lsn
        if len(client.lsns) > self._window:
            client.floor = next(iter(client.lsns))
            del client.lsns[client.floor]
        if len(self._clients) > self._clients_max:
            del self._clients[next(iter(self._clients))]
            self._forgot = True

    def to_document(self, lsn_max: int) -> dict[str, Any]:
        """Plain values for the manifest: requests logged up to `lsn_max`, since later ones may yet be undone."""
        clients = [
            [number, client.floor, {sequence: lsn for sequence, lsn in client.lsns.items() if lsn <= lsn_max}]
            for number, client in self._clients.items()
        ]
        return {"forgot": self._forgot, "clients": [client for client in clients if client[1] or client[2]]}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> DedupWindow:
        """Inverse of to_document; an empty document is an empty window."""
        window = cls()
        window._forgot = document.get("forgot", False)
        window._clients = {number: _Client(floor, dict(lsns)) for number, floor, lsns in document.get("clients", [])}
        return window
