"""Drives a router core as clients and workers would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from shardstore.identifiers import LIFE_NONCE_BITS
from shardstore.limits import GIB, MIB, MILLISECOND_NS
from shardstore.memory_plan import derive
from shardstore.options import RouterOptions
from shardstore.router.core import RouterCore
from shardstore.seams.effects import Effect, PeerGone, Received, Send, SendFailed, StopRequested, Tick
from shardstore.seams.filesystem import Filesystem
from shardstore.wire.link_names import CLIENTS, WORKERS
from shardstore.wire.messages import (
    Assignments,
    Heartbeat,
    Hello,
    LeaseReport,
    Ready,
    Refusal,
    Register,
    Routes,
    Statistics,
    Welcome,
    decode,
    encode,
)
from shardstore.wire.route_map import RouteMap
from shardstore.wire.wire_format import Flag, Header, Op, Status, decode_header

STORE = "store"
LIFE = 1_001
"""The identity of the only router of a driver."""
FIRST_LIFE = 1 << LIFE_NONCE_BITS
IDLE = LeaseReport(60 * MIB, 0, 0, 60 * MIB)


class CountingEntropy:
    """An entropy source that returns 1000, 1001, 1002 ..."""

    def __init__(self) -> None:
        self._numbers = count(1_000)

    def below(self, bound: int) -> int:
        """The next number."""
        return next(self._numbers) % bound


class RouterDriver:
    """A router core with two workers and four ranges ("", "40", "80", "c0"), and its time."""

    def __init__(
        self, filesystem: Filesystem, workers: int = 2, boundaries: Sequence[str] = ("40", "80", "c0")
    ) -> None:
        options = RouterOptions("data", STORE, "clients", "workers", workers, tuple(boundaries), derive(GIB, workers))
        self.core = RouterCore(filesystem, CountingEntropy(), options)
        self.now_ns = 10**9
        self._sequences = count(100)
        self.first = self.core.start(self.now_ns)
        """The effects of the start of the core."""

    def handle(self, event: Any) -> list[Effect]:
        """Pass an event to the core."""
        effects = self.core.handle(event, self.now_ns)
        self.core.check_invariants()
        self.core._table.check_invariants()
        return effects

    def pass_time(self, milliseconds: int) -> list[Effect]:
        """Let time pass, with every Tick that the core asks for."""
        effects = []
        end_ns = self.now_ns + milliseconds * MILLISECOND_NS
        while (due_ns := self.core.wakeup_ns()) is not None and due_ns <= end_ns:
            self.now_ns = max(self.now_ns, due_ns)
            effects += self.handle(Tick())
        self.now_ns = end_ns
        return effects

    def stop(self) -> list[Effect]:
        """Ask the core to stop."""
        return self.handle(StopRequested())

    def client_sends(self, peer: bytes, header: Header, *body: bytes) -> list[Effect]:
        """Deliver a message from a client."""
        return self.handle(Received(CLIENTS, peer, [header.encode(), *body]))

    def worker_sends(self, peer: bytes, header: Header, *body: bytes) -> list[Effect]:
        """Deliver a message from a worker."""
        return self.handle(Received(WORKERS, peer, [header.encode(), *body]))

    def lose_worker(self, peer: bytes) -> list[Effect]:
        """Report that a message to a worker could not be sent."""
        return self.handle(SendFailed(WORKERS, peer, []))

    def hear_of_end(self, link: str, peer: bytes) -> list[Effect]:
        """Report that the connection of a peer has ended."""
        return self.handle(PeerGone(link, peer))

    def lose_client(self, peer: bytes) -> list[Effect]:
        """Report that a message to a client could not be sent."""
        return self.handle(SendFailed(CLIENTS, peer, []))

    def hello(self, peer: bytes = b"client") -> Welcome:
        """Send HELLO from a client."""
        [welcome] = self.client_sends(peer, Header(Op.HELLO), encode(Hello("test")))
        return document_of(Welcome, welcome)

    def register(
        self,
        worker: int,
        peer: bytes,
        serving: Mapping[int, int] | None = None,
        known: Mapping[int, int] | None = None,
        life: int | None = None,
        failure: str = "",
    ) -> list[Effect]:
        """Send REGISTER from a worker, in the same life of its log unless another is given."""
        life = FIRST_LIFE if life is None else life
        body = Register(worker, f"unix://{peer.decode()}", dict(serving or {}), dict(known or {}), life, failure)
        return self.worker_sends(peer, Header(Op.REGISTER, sequence=7), encode(body))

    def granted(self, worker: int, peer: bytes, **told: Any) -> dict[int, int]:
        """Send REGISTER from a worker; returns the epochs it gets, by segment."""
        [assignments] = answers_to(self.register(worker, peer, **told), peer, Op.REGISTER)
        return {each.segment: each.epoch for each in document_of(Assignments, assignments).ranges}

    def life_told(self, worker: int, peer: bytes, life: int) -> int:
        """Send REGISTER from a worker in this life of its log; returns the newest life according to the router."""
        [assignments] = answers_to(self.register(worker, peer, life=life), peer, Op.REGISTER)
        return document_of(Assignments, assignments).life

    def ready(self, peer: bytes, serving: Mapping[int, int]) -> list[Effect]:
        """Send READY from a worker."""
        return self.worker_sends(peer, Header(Op.READY), encode(Ready(dict(serving))))

    def heartbeat(
        self,
        worker: int,
        peer: bytes,
        pressure: int = 0,
        router: int = LIFE,
        report: LeaseReport = IDLE,
        scans: int = 0,
        full_disk: str = "",
    ) -> list[Effect]:
        """Send HEARTBEAT from a worker."""
        beat = Heartbeat(worker, pressure, router, report, scans, full_disk)
        return self.worker_sends(peer, Header(Op.HEARTBEAT, sequence=next(self._sequences)), encode(beat))

    def bring_up(self, worker: int, peer: bytes) -> dict[int, int]:
        """Register a worker and make it ready; returns its epochs by segment."""
        serving = self.granted(worker, peer)
        self.ready(peer, serving)
        return serving

    def routes(self) -> Routes:
        """The reply to a client that asks for routes."""
        [reply] = self.client_sends(b"asker", Header(Op.ROUTES))
        return document_of(Routes, reply)

    def route_map(self) -> RouteMap:
        """The route map that a client gets."""
        return RouteMap.from_document(self.routes().route_map)

    def statistics(self) -> dict[str, Any]:
        """The router's own statistics."""
        [reply] = self.client_sends(b"asker", Header(Op.STATS, duration_ms=1_000))
        return document_of(Statistics, reply).figures


def get(segment: int, epoch: int, client: int, sequence: int, **changes: int) -> Header:
    """The header of a GET of one key."""
    return Header(
        Op.GET,
        flags=Flag.KEYS_FIXED,
        entries=1,
        segment=segment,
        epoch=epoch,
        duration_ms=1_000,
        client=client,
        sequence=sequence,
    )._replace(**changes)


def header_of(effect: Effect) -> Header:
    """The header of a message to be sent."""
    assert isinstance(effect, Send)
    return decode_header(effect.frames[0])


def document_of(kind: type[Any], effect: Effect) -> Any:
    """The document of a message to be sent."""
    assert isinstance(effect, Send)
    return decode(kind, effect.frames[1])


def refusal_of(effect: Effect, status: Status) -> Refusal:
    """The refusal to be sent, which must have this status."""
    assert header_of(effect).status == status, header_of(effect)
    refusal: Refusal = document_of(Refusal, effect)
    return refusal


def answers_to(effects: Sequence[Effect], peer: bytes, op: Op) -> list[Effect]:
    """The messages to a peer with this operation."""
    return [
        effect for effect in effects if isinstance(effect, Send) and effect.peer == peer and header_of(effect).op == op
    ]


def told_routes(effects: Sequence[Effect]) -> list[tuple[str, bytes]]:
    """The links and peers that get routes without asking."""
    sends = [effect for effect in effects if isinstance(effect, Send)]
    return [(send.link, send.peer) for send in sends if header_of(send)[:3] == (Op.ROUTES, 0, Status.OK)]
