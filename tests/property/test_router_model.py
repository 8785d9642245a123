"""Random lives of workers, clients and the router: one owner at a time, one reply per request, ascending epochs."""

from __future__ import annotations

import tempfile
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shardstore.seams.effects import Effect, Send
from shardstore.system.posix_filesystem import PosixFilesystem
from shardstore.wire.wire_format import ROUTED, Header, Status
from tests.unit.router.router_driver import RouterDriver, get, header_of

WORKERS = st.sampled_from([0, 1])
SEGMENTS = st.integers(0, 5)
CLIENT = 5


class RouterMachine(RuleBasedStateMachine):
    """The system. Every worker number has had some processes, each with its peer and its granted epochs."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.router = RouterDriver(PosixFilesystem(self.directory.name))
        self.sequence = 0
        self.newest: dict[int, tuple[bytes, dict[int, int]]] = {}
        self.granted: dict[int, int] = dict.fromkeys(range(1, 5), 0)
        self.waiting: dict[int, tuple[bytes, Header]] = {}
        """Requests sent to workers and not answered: the peer of the worker and the header, by sequence."""

    def teardown(self) -> None:
        self.directory.cleanup()

    def note(self, effects: list[Effect]) -> list[Any]:
        """Check the messages to clients about requests in flight: at most one reply each."""
        sends = [effect for effect in effects if isinstance(effect, Send)]
        for send in sends:
            header = header_of(send)
            if send.link == "clients" and header.op in ROUTED and header.status == Status.UNKNOWN:
                del self.waiting[header.sequence]
        return sends

    @rule(worker=WORKERS, ready=st.booleans())
    def new_process(self, worker: int, ready: bool) -> None:
        peer = b"%d.%d" % (worker, self.sequence)
        self.sequence += 1
        effects = self.router.register(worker, peer)
        self.note(effects)
        serving = self.router.granted(worker, peer)  # retried: the same reply
        for segment, epoch in serving.items():
            assert epoch == self.granted[segment] + 1
            self.granted[segment] = epoch
        self.newest[worker] = (peer, serving)
        if ready:
            self.process_is_ready(worker)

    @rule(worker=WORKERS)
    def process_is_ready(self, worker: int) -> None:
        if worker in self.newest:
            self.note(self.router.ready(*self.newest[worker]))

    @rule(worker=WORKERS)
    def process_beats(self, worker: int) -> None:
        if worker not in self.newest:
            return
        peer, serving = self.newest[worker]
        [answer] = self.note(self.router.heartbeat(worker, peer))
        if header_of(answer).status == Status.STALE_ROUTE:
            assert self.router.granted(worker, peer, serving=serving, known=serving) == serving

    @rule(worker=WORKERS)
    def process_is_unreachable(self, worker: int) -> None:
        if worker in self.newest:
            self.note(self.router.lose_worker(self.newest[worker][0]))

    @rule(milliseconds=st.sampled_from([100, 2_000, 6_000]))
    def time_passes(self, milliseconds: int) -> None:
        self.note(self.router.pass_time(milliseconds))

    @rule(segment=SEGMENTS, behind=st.integers(0, 1))
    def client_asks(self, segment: int, behind: int) -> None:
        self.sequence += 1
        epoch = max(0, self.granted.get(segment, 0) - behind)
        effects = self.router.client_sends(b"client", get(segment, epoch, CLIENT, self.sequence), b"\x50key")
        [sent] = self.note(effects)
        header = header_of(sent)
        if sent.link == "workers":
            assert sent.peer in [peer for peer, _ in self.newest.values()]
            assert header.epoch == self.granted[header.segment]
            self.waiting[self.sequence] = (sent.peer, header)
        else:
            assert header.status in (Status.STALE_ROUTE, Status.UNAVAILABLE)

    @rule(data=st.data())
    def worker_answers(self, data: st.DataObject) -> None:
        if self.waiting:
            sequence = data.draw(st.sampled_from(sorted(self.waiting)))
            peer, asked = self.waiting.pop(sequence)
            reply = asked.reply(Status.OK)
            assert len(self.router.worker_sends(peer, reply, b"value")) <= 1
            assert self.router.worker_sends(peer, reply, b"value") == []

    @rule()
    def router_restarts(self) -> None:
        self.router = RouterDriver(PosixFilesystem(self.directory.name))
        self.waiting.clear()

    @invariant()
    def the_map_has_the_epochs_that_were_granted(self) -> None:
        assert {route.segment: route.epoch for route in self.router.route_map()} == self.granted

    @invariant()
    def what_is_in_flight_is_waited_for(self) -> None:
        in_flight = self.router.core._dispatch.in_flight
        in_flight.check_invariants()
        assert len(in_flight) <= len(self.waiting)


TestRouter = RouterMachine.TestCase
TestRouter.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
