"""Splits, merges and moves with writes, restarts, lost messages and power losses, against a dict.

Every write is a request of its own client, sent again until it is acknowledged. Acknowledged writes survive, a retried
request is never applied twice, and a key never has more than one owner that accepts writes.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shardstore.errors import Busy, InvalidRequest
from shardstore.options import Durability, ScanMode
from shardstore.wire.messages import ScanRequest
from shardstore.wire.route_map import Route
from shardstore.wire.wire_format import Flag, Op, Status
from tests.unit.topology_driver import CLIENT, TopologyDriver

WORKERS = 2
KEYS = [b"%c" % letter for letter in b"bdfhjlnp"]
BORDERS = [b"%c" % letter for letter in b"acegikmoq"]
UNCHANGED = frozenset((Status.BUSY, Status.STALE_ROUTE, Status.UNAVAILABLE))

keys = st.sampled_from(KEYS)
borders = st.sampled_from(BORDERS)
workers = st.integers(0, WORKERS - 1)
seldom = st.integers(0, 5).map(lambda number: number == 5)


@dataclass
class Write:
    """One request: what it writes (None deletes, perhaps as a range), and where it was sent last."""

    sequence: int
    key: bytes
    value: bytes | None
    route: Route
    as_range: bool


class Topology(RuleBasedStateMachine):
    """The cluster, and its expected content."""

    @initialize(durability=st.sampled_from(list(Durability)), seed=st.integers(0, 1_000))
    def start(self, durability: Durability, seed: int) -> None:
        self.cluster = TopologyDriver(durability, WORKERS, ("68",), seed)
        self.held: dict[bytes, bytes | None] = dict.fromkeys(KEYS)
        self.pending: dict[bytes, Write] = {}
        self.done: list[Write] = []

    # ---------------------------------------------------------------- clients

    @rule(key=keys, delete=seldom, as_range=st.booleans())
    def write(self, key: bytes, delete: bool, as_range: bool) -> None:
        if key in self.pending:
            self.send(self.pending[key], Flag.RETRY)
            return
        self.cluster.sequence += 1
        sequence = self.cluster.sequence
        value = None if delete else b"value %d" % sequence
        self.pending[key] = Write(sequence, key, value, self.cluster.map.route_of(key), as_range)
        self.send(self.pending[key], 0)

    @precondition(lambda self: self.done)
    @rule(data=st.data(), stale=seldom)
    def send_once_more(self, data: st.DataObject, stale: bool) -> None:
        self.send(data.draw(st.sampled_from(self.done[-6:])), Flag.RETRY, stale)

    @rule(chosen=st.lists(keys, min_size=1, max_size=3, unique=True))
    def read(self, chosen: list[bytes]) -> None:
        route = self.cluster.map.route_of(chosen[0])
        within = [key for key in sorted(chosen) if self.cluster.map.route_of(key) == route]
        asked = self.cluster.ask_get(within)
        if self.cluster.status(asked) is None:
            self.cluster.exchange()
        if self.cluster.status(asked) is Status.OK:
            for key, value in zip(within, self.cluster.values(asked), strict=False):
                self.saw(key, value)

    @rule(mode=st.sampled_from(list(ScanMode)), reverse=st.booleans())
    def scan(self, mode: ScanMode, reverse: bool) -> None:
        for route in self.cluster.map:
            request = ScanRequest(mode=mode.value, reverse=reverse)
            asked = self.cluster.ask_scan(request, route)
            if self.cluster.status(asked) is Status.OK:
                entries, resume, _ = self.cluster.page_of(asked)
                assert not resume
                for key in KEYS:
                    if key in self.cluster.map.range_of(route.segment):
                        self.saw(key, entries.get(key))

    def send(self, write: Write, flags: int, stale: bool = False) -> None:
        if not stale:
            write.route = self.cluster.map.route_of(write.key)
        names = {"sequence": write.sequence, "client": CLIENT + write.sequence, "flags": flags}
        if write.value is None and write.as_range:
            self.cluster.ask(Op.DELETE_RANGE, [write.key, write.key + b"\0"], write.route, **names)
        elif write.value is None:
            self.cluster.delete([write.key], write.route, **names)
        else:
            self.cluster.put({write.key: write.value}, write.route, **names)

    def saw(self, key: bytes, value: bytes | None) -> None:
        """Check a value that was read. If its write was not acknowledged yet, the value must survive from now on."""
        self.hear()
        write = self.pending.get(key)
        allowed = [self.held[key], *([write.value] if write else [])]
        assert value in allowed, f"{key!r} is {value!r}, expected {allowed}"
        self.held[key] = value

    def hear(self) -> None:
        """Take the acknowledgements."""
        for write in list(self.pending.values()):
            for header, _ in self.cluster.answered.pop(write.sequence, []):
                status = Status(header.status)
                assert status is Status.OK or status in UNCHANGED, f"{write} ended {status}"
                if status is Status.OK and write.key in self.pending:
                    self.held[write.key] = write.value
                    self.done.append(self.pending.pop(write.key))

    # ---------------------------------------------------------------- changes

    @rule(key=borders, worker=workers)
    def split(self, key: bytes, worker: int) -> None:
        with contextlib.suppress(InvalidRequest, Busy):
            self.cluster.split(key, worker)

    @rule(key=borders)
    def merge(self, key: bytes) -> None:
        with contextlib.suppress(InvalidRequest, Busy):
            self.cluster.merge(key)

    @rule(key=borders, worker=workers)
    def move(self, key: bytes, worker: int) -> None:
        with contextlib.suppress(InvalidRequest, Busy):
            self.cluster.move(key, worker)

    # ---------------------------------------------------------------- waiting work

    @rule(worker=workers, of_router=st.booleans(), lost=seldom)
    def message(self, worker: int, of_router: bool, lost: bool) -> None:
        place = self.cluster.workers[worker]
        box = place.inbox if of_router else place.outbox
        if box and lost:
            box.popleft()
        elif box:
            (self.cluster.deliver_to_worker if of_router else self.cluster.deliver_to_router)(worker)

    @rule(worker=workers, fails=seldom)
    def job(self, worker: int, fails: bool) -> None:
        if self.cluster.workers[worker].job:
            (self.cluster.fail_job if fails else self.cluster.run_job)(worker)

    @rule(worker=workers)
    def sync(self, worker: int) -> None:
        if self.cluster.workers[worker].syncs:
            self.cluster.sync(worker)

    @rule()
    def exchange(self) -> None:
        self.cluster.exchange()

    @rule(milliseconds=st.sampled_from((250, 600, 6_000)))
    def pass_time(self, milliseconds: int) -> None:
        self.cluster.pass_time(milliseconds)

    @rule(really=seldom)
    def finish(self, really: bool) -> None:
        if really:
            self.cluster.finish()

    # ---------------------------------------------------------------- deaths

    @rule(who=st.sampled_from(("worker 0", "worker 1", "router", "power", *[""] * 4)))
    def restart(self, who: str) -> None:
        self.hear()
        if who == "router":
            self.cluster.restart_router()
        elif who == "power" and self.cluster.durability is not Durability.ASYNC:
            self.cluster.lose_power()
        elif who.startswith("worker"):
            self.cluster.start_worker(int(who[-1]))

    # ---------------------------------------------------------------- invariants

    @invariant()
    def no_key_has_two_owners(self) -> None:
        for key in KEYS:
            accepting = self.cluster.accepting(key)
            assert len(accepting) <= 1, f"{key!r} is accepted by {accepting}"
        assert all(place.stopped is None for place in self.cluster.workers.values())

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        self.cluster.finish()
        for _ in range(3):
            for write in list(self.pending.values()):
                self.send(write, Flag.RETRY)
            self.cluster.settle()
            self.hear()
        assert not self.pending, "a write is refused for ever"
        for mode in ScanMode:
            assert self.cluster.content(mode) == {key: value for key, value in self.held.items() if value is not None}
        segments = {int(route.segment) for route in self.cluster.map}
        assert self.cluster.segments_on_disk() == segments


TestTopology = Topology.TestCase
TestTopology.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
