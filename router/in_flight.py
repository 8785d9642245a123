"""Requests that were forwarded to a worker and have no reply yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
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


class Load:
    """What is in flight to one worker: bytes, and for each peer the number of its requests."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.of_peers: dict[bytes, int] = {}


class InFlight:
    """Requests in flight, by (client, sequence, segment).

    The segment is part of the key because a write to a segment that was split is sent to several children, with the
    same sequence.

    Invariants: the bytes charged to a worker are the sum of its requests; the requests of each peer are counted.
    """

    def __init__(self) -> None:
        self._requests: dict[tuple[int, int, int], ForwardedRequest] = {}
        self._loads: defaultdict[int, Load] = defaultdict(Load)

    def __len__(self) -> int:
        return len(self._requests)

    def load_of(self, worker: int) -> Load:
        """What is in flight to one worker."""
        return self._loads[worker]

    def size_bytes(self) -> int:
        """The bytes in flight to all workers."""
        return sum([load.size_bytes for load in self._loads.values()])

    def add(self, request: ForwardedRequest) -> None:
        """Add a request. A retry of a request in flight replaces it, with the new peer and deadline."""
        _, peer, header, worker, size_bytes, _ = request
        key = header.client, header.sequence, header.segment
        former = self._requests.get(key)
        if former is not None:
            self._discount(former)
        self._requests[key] = request
        load = self._loads[worker]
        load.size_bytes += size_bytes
        load.of_peers[peer] = load.of_peers.get(peer, 0) + 1

    def take(self, reply: Header, worker: int) -> ForwardedRequest | None:
        """Remove and return the request that a reply of this worker is for; None if the worker has no such request."""
        key = reply.client, reply.sequence, reply.segment
        request = self._requests.get(key)
        if request is None or request.worker != worker:
            return None
        del self._requests[key]
        self._discount(request)
        return request

    def take_all(self, worker: int) -> list[ForwardedRequest]:
        """Remove and return all requests of a worker."""
        return self._take_those(lambda request: request.worker == worker)

    def expire(self, before_ns: int) -> int:
        """Remove the requests with a deadline before this time. Returns their number."""
        return len(self._take_those(lambda request: request.deadline_ns < before_ns))

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        charged: defaultdict[int, int] = defaultdict(int)
        for request in self._requests.values():
            charged[request.worker] += request.size_bytes
        of_peers = Counter([(request.worker, request.peer) for request in self._requests.values()])
        counted = {
            (worker, peer): count for worker, load in self._loads.items() for peer, count in load.of_peers.items()
        }
        assert counted == of_peers, "requests of peers are miscounted"
        used = {worker: load.size_bytes for worker, load in self._loads.items() if load.size_bytes}
        assert charged == used, "bytes are miscounted"

    def _take_those(self, wanted: Callable[[ForwardedRequest], bool]) -> list[ForwardedRequest]:
        taken = {key: request for key, request in self._requests.items() if wanted(request)}
        for key, request in taken.items():
            del self._requests[key]
            self._discount(request)
        return [*taken.values()]

    def _discount(self, request: ForwardedRequest) -> None:
        _, peer, _, worker, size_bytes, _ = request
        load = self._loads[worker]
        load.size_bytes -= size_bytes
        left = load.of_peers[peer] - 1
        if left:
            load.of_peers[peer] = left
        else:
            del load.of_peers[peer]
