"""Forwards routed requests to their workers, and the replies to the clients that wait for them.

It reads headers, and the key of a single-key request that names no segment. Other frames are forwarded unread.
"""

from __future__ import annotations

from shardstore.identifiers import WorkerId
from shardstore.limits import (
    CREDITS,
    DEADLINE_MS_MAX,
    KEY_BYTES_MAX,
    KEY_BYTES_MIN,
    MILLISECOND_NS,
    REQUEST_BYTES_MAX,
    REQUEST_ENTRIES_MAX,
    SECOND_NS,
)
from shardstore.router.announcer import Announcer
from shardstore.router.cluster_state import ClusterState
from shardstore.router.in_flight import REQUEST_OVERHEAD_BYTES, ForwardedRequest, InFlight
from shardstore.router.membership import MemberState
from shardstore.router.replies import refuse
from shardstore.seams.effects import Effect, Send
from shardstore.stalls import Stalls
from shardstore.wire.link_names import CLIENTS, WORKERS
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import HEADER_BYTES, OF_KEYS, Flag, Header, Op, Status

RETRY_UNAVAILABLE_MS = 100
RETRY_BUSY_MS = 20
PEER_REQUESTS_MAX = 4 * CREDITS
"""The maximum number of requests in flight from one client to one worker, including those it has given up."""
GRACE_NS = SECOND_NS
"""How long a request is kept after its deadline."""
_new_tuple = tuple.__new__
_OF_SCANS = frozenset((Op.SCAN, Op.END_SCAN))


class Dispatch:
    """Forwards routed requests and their replies, with a limit on the bytes in flight to each worker."""

    def __init__(self, cluster: ClusterState, announcer: Announcer, in_flight_bytes_max: int) -> None:
        self._table = cluster.table
        self._membership = cluster.membership
        self._announcer = announcer
        self._in_flight_bytes_max = in_flight_bytes_max
        self.in_flight = InFlight()
        self.stalls = Stalls()
        self.replies_unmatched = 0

    def forward(self, peer: bytes, header: Header, frames: list[bytes], now_ns: int) -> list[Effect]:
        """Forward a routed request of a client, or refuse it."""
        segment, size_bytes = header.segment, sum(map(len, frames))
        if flaw := _flaw(header, size_bytes):
            return [refuse(CLIENTS, peer, header, Status.INVALID, Refusal(flaw))]
        if not segment:
            return self._forward_without_segment(peer, header, frames, size_bytes, now_ns)
        route = self._table.current.route_of_segment(segment)
        worker = route.worker if route is not None and route.epoch == header.epoch else self._former_owner(header)
        if worker is None:
            stale = Refusal("the routes have changed", routes=self._announcer.routes)
            return [refuse(CLIENTS, peer, header, Status.STALE_ROUTE, stale)]
        return self._send_to_worker(CLIENTS, peer, worker, header, frames, size_bytes, now_ns)

    def forward_to_parent(self, peer: bytes, header: Header, frames: list[bytes], now_ns: int) -> list[Effect]:
        """Forward a request of the owner of a child to the owner of its parent, or refuse it."""
        size_bytes = sum(map(len, frames))
        flaw = _flaw(header, size_bytes)
        worker = self._table.former_owners.owner_of(header.segment)
        if flaw or worker is None or not header.flags & Flag.OF_PARENT:
            reason = flaw or f"segment {header.segment} is not the parent of any change"
            status = Status.INVALID if flaw else Status.STALE_ROUTE
            return [refuse(WORKERS, peer, header, status, Refusal(reason, routes=self._announcer.routes))]
        return self._send_to_worker(WORKERS, peer, worker, header, frames, size_bytes, now_ns)

    def return_reply(self, peer: bytes, header: Header, frames: list[bytes]) -> list[Effect]:
        """Forward a worker's reply to the client that waits for it."""
        member = self._membership.of_peer(peer)
        request = self.in_flight.take(header, member.worker) if member else None
        if request is None:
            self.replies_unmatched += 1
            return []
        return [Send(request.link, request.peer, frames)]

    def abandon(self, worker: int) -> list[Effect]:
        """Reply UNKNOWN to all requests in flight to a worker that was lost."""
        lost = Refusal(f"worker {worker} was lost before it replied")
        return [
            refuse(request.link, request.peer, request.header, Status.UNKNOWN, lost)
            for request in self.in_flight.take_all(worker)
        ]

    def tick(self, now_ns: int) -> None:
        """Remove the requests whose deadline passed more than GRACE_NS ago."""
        self.in_flight.expire(now_ns - GRACE_NS)

    def _send_to_worker(
        self,
        link: str,
        peer: bytes,
        worker: WorkerId,
        header: Header,
        frames: list[bytes],
        size_bytes: int,
        now_ns: int,
    ) -> list[Effect]:
        member = self._membership.of_worker(worker)
        if member is None or member.state is not MemberState.UP:
            down = Refusal(f"worker {worker} is {member.state if member else MemberState.DOWN}")
            return [refuse(link, peer, header, Status.UNAVAILABLE, down, RETRY_UNAVAILABLE_MS)]
        load = self.in_flight.load_of(worker)
        of_peer = load.of_peers.get(peer, 0)
        if of_peer >= PEER_REQUESTS_MAX and link == CLIENTS:
            many = Refusal(f"requests of this client in flight to worker {worker}", of_peer + 1, PEER_REQUESTS_MAX)
            return [refuse(link, peer, header, Status.BUSY, many, RETRY_BUSY_MS)]
        charged = size_bytes + REQUEST_OVERHEAD_BYTES
        used = load.size_bytes + charged
        if used > self._in_flight_bytes_max:
            self.stalls.refused(f"bytes in flight to worker {worker}", now_ns)
            busy = Refusal(f"bytes in flight to worker {worker}", used, self._in_flight_bytes_max)
            return [refuse(link, peer, header, Status.BUSY, busy, RETRY_BUSY_MS)]
        deadline_ns = now_ns + header.duration_ms * MILLISECOND_NS
        self.in_flight.add(_new_tuple(ForwardedRequest, (link, peer, header, worker, charged, deadline_ns)))
        return [Send(WORKERS, member.peer, frames)]

    def _former_owner(self, header: Header) -> WorkerId | None:
        """The worker for a scan that may have begun before its segment was changed; None for another request."""
        worker = self._table.former_owners.owner_of(header.segment) if header.op in _OF_SCANS else None
        return worker if worker in self._table.topology.workers else None

    def _forward_without_segment(
        self, peer: bytes, header: Header, frames: list[bytes], size_bytes: int, now_ns: int
    ) -> list[Effect]:
        """Forward a request to a worker itself, or for a key of which the client does not know the owner."""
        if header.op == Op.STATS:
            worker = WorkerId(header.epoch - 1)
            return self._send_to_worker(CLIENTS, peer, worker, header, frames, size_bytes, now_ns)
        single = header.op in OF_KEYS and header.entries == 1 and header.flags & Flag.KEYS_FIXED
        if not single or not KEY_BYTES_MIN <= len(frames[1]) <= KEY_BYTES_MAX:
            flaw = Refusal(f"segment 0 is for one key of {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes in a fixed column")
            return [refuse(CLIENTS, peer, header, Status.INVALID, flaw)]
        route = self._table.current.route_of(frames[1])
        located = header._replace(segment=route.segment, epoch=route.epoch)
        return self.forward(peer, located, [located.encode(), *frames[1:]], now_ns)


def _flaw(header: Header, size_bytes: int) -> str:
    """The rule that a routed request breaks; empty if it breaks none."""
    if not header.client:
        return "a routed request needs the client id from the reply to HELLO"
    if not 0 < header.duration_ms <= DEADLINE_MS_MAX:
        return f"a deadline is 1 to {DEADLINE_MS_MAX} ms away, not {header.duration_ms}"
    if header.entries > REQUEST_ENTRIES_MAX:
        return f"{header.entries} entries; a request has at most {REQUEST_ENTRIES_MAX}"
    if size_bytes > REQUEST_BYTES_MAX + HEADER_BYTES:
        return f"{size_bytes - HEADER_BYTES} bytes; a request has at most {REQUEST_BYTES_MAX}"
    return ""
