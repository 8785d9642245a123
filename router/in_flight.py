"""Requests that were passed to a worker and are not answered yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

from shardstore.identifiers import WorkerId
from shardstore.limits import KIB
from shardstore.wire.wire_format import Header

ENTRY_BYTES = KIB
"""Charged for every request beside its frames, so that a flood of tiny ones is bounded too."""


class ForwardedRequest(NamedTuple):
    """One request in flight: who waits for its answer and until when, which worker has it, and what it weighs."""

    link: str
    peer: bytes
    header: Header
    worker: WorkerId
    size_bytes: int
    deadline_ns: int


class InFlight:
    """Requests in flight, by (client, sequence, segment).

    A write that is cut anew because its segment was split goes to each of the new ones under its old sequence.

    Invariant: the bytes charged to a worker are the sum of the sizes of its entries; those of a peer are counted.
    """

    def __init__(self) -> None:
        self._passed: dict[tuple[int, int, int], ForwardedRequest] = {}
        self._bytes: defaultdict[int, int] = defaultdict(int)
        self._of_peers: Counter[tuple[bytes, int]] = Counter()

    def __len__(self) -> int:
        return len(self._passed)

    def size_bytes_of(self, worker: int) -> int:
        """Bytes in flight to one worker."""
        return self._bytes[worker]

    def count_of(self, peer: bytes, worker: int) -> int:
        """Requests in flight from one peer to one worker."""
        return self._of_peers[peer, worker]

    def size_bytes(self) -> int:
        """Bytes in flight to all workers."""
        return sum(self._bytes.values())

    def add(self, passed: ForwardedRequest) -> None:
        """Remember a request. One that is in flight already (a retry) waits under its new peer and deadline."""
        key = _key(passed.header)
        former = self._passed.get(key)
        if former is not None:
            self._discount(former)
        self._passed[key] = passed
        self._bytes[passed.worker] += passed.size_bytes
        self._of_peers[passed.peer, passed.worker] += 1

    def take(self, reply: Header, worker: int) -> ForwardedRequest | None:
        """Forget the request that this worker has answered; None when it has no such request."""
        passed = self._passed.get(_key(reply))
        if passed is None or passed.worker != worker:
            return None
        self._remove(passed)
        return passed

    def take_all(self, worker: int) -> list[ForwardedRequest]:
        """Forget everything that this worker had."""
        lost = [passed for passed in self._passed.values() if passed.worker == worker]
        for passed in lost:
            self._remove(passed)
        return lost

    def expire(self, before_ns: int) -> int:
        """Forget requests whose deadline lies before this time; answers how many."""
        expired = [passed for passed in self._passed.values() if passed.deadline_ns < before_ns]
        for passed in expired:
            self._remove(passed)
        return len(expired)

    def check_invariants(self) -> None:
        """For tests: the charged bytes are those of the entries."""
        charged: defaultdict[int, int] = defaultdict(int)
        for passed in self._passed.values():
            charged[passed.worker] += passed.size_bytes
        assert self._of_peers == Counter((passed.peer, passed.worker) for passed in self._passed.values())
        assert charged == {worker: used for worker, used in self._bytes.items() if used}

    def _remove(self, passed: ForwardedRequest) -> None:
        del self._passed[_key(passed.header)]
        self._discount(passed)

    def _discount(self, passed: ForwardedRequest) -> None:
        self._bytes[passed.worker] -= passed.size_bytes
        of_peer = passed.peer, passed.worker
        if self._of_peers[of_peer] > 1:
            self._of_peers[of_peer] -= 1
        else:
            del self._of_peers[of_peer]


def _key(header: Header) -> tuple[int, int, int]:
    return header.client, header.sequence, header.segment
