"""Requests that were forwarded to a worker and have no reply yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from shardstore.identifiers import WorkerId
from shardstore.limits import KIB
from shardstore.wire.wire_format import Header

REQUEST_OVERHEAD_BYTES = KIB
"""Charged for each request in addition to its frames, so that many tiny requests are bounded too."""


class ForwardedRequest(NamedTuple):
    """One request in flight to `worker`. The peer waits for the reply; `size_bytes` is charged to the worker."""

    link: str
    peer: bytes
    header: Header
    worker: WorkerId
    size_bytes: int
    deadline_ns: int


class InFlight:
    """Requests in flight, by (client, sequence, segment).

    The segment is part of the key because a write to a segment that was split is sent to several children, with the
    same sequence.

    Invariants: the bytes charged to a worker are the sum of its requests; the requests of each peer are counted.
    """

    def __init__(self) -> None:
        self._requests: dict[tuple[int, int, int], ForwardedRequest] = {}
        self._bytes: defaultdict[int, int] = defaultdict(int)
        self._of_peers: Counter[tuple[bytes, int]] = Counter()

    def __len__(self) -> int:
        return len(self._requests)

    def size_bytes_of(self, worker: int) -> int:
        """The bytes in flight to one worker."""
        return self._bytes[worker]

    def count_of(self, peer: bytes, worker: int) -> int:
        """The number of requests in flight from one peer to one worker."""
        return self._of_peers[peer, worker]

    def size_bytes(self) -> int:
        """The bytes in flight to all workers."""
        return sum(self._bytes.values())

    def add(self, request: ForwardedRequest) -> None:
        """Add a request. A retry of a request in flight replaces it, with the new peer and deadline."""
        key = _key(request.header)
        former = self._requests.get(key)
        if former is not None:
            self._discount(former)
        self._requests[key] = request
        self._bytes[request.worker] += request.size_bytes
        self._of_peers[request.peer, request.worker] += 1

    def take(self, reply: Header, worker: int) -> ForwardedRequest | None:
        """Remove and return the request that a reply of this worker is for; None if the worker has no such request."""
        request = self._requests.get(_key(reply))
        if request is None or request.worker != worker:
            return None
        self._remove(request)
        return request

    def take_all(self, worker: int) -> list[ForwardedRequest]:
        """Remove and return all requests of a worker."""
        lost = [request for request in self._requests.values() if request.worker == worker]
        for request in lost:
            self._remove(request)
        return lost

    def expire(self, before_ns: int) -> int:
        """Remove the requests with a deadline before this time. Returns their number."""
        expired = [request for request in self._requests.values() if request.deadline_ns < before_ns]
        for request in expired:
            self._remove(request)
        return len(expired)

    def check_invariants(self) -> None:
        """Assert the invariants, for tests."""
        charged: defaultdict[int, int] = defaultdict(int)
        for request in self._requests.values():
            charged[request.worker] += request.size_bytes
        assert self._of_peers == Counter((request.peer, request.worker) for request in self._requests.values())
        assert charged == {worker: used for worker, used in self._bytes.items() if used}

    def _remove(self, request: ForwardedRequest) -> None:
        del self._requests[_key(request.header)]
        self._discount(request)

    def _discount(self, request: ForwardedRequest) -> None:
        self._bytes[request.worker] -= request.size_bytes
        of_peer = request.peer, request.worker
        if self._of_peers[of_peer] > 1:
            self._of_peers[of_peer] -= 1
        else:
            del self._of_peers[of_peer]


def _key(header: Header) -> tuple[int, int, int]:
    return header.client, header.sequence, header.segment
