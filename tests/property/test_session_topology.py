"""Ranges split, merge and move while everything else goes wrong too: calls report what the cluster did, each write is
applied exactly once, and scans are complete, or raise and can be resumed after their last entry."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardstore.client.calls.calls import Call, EndScan
from shardstore.client.calls.scan import Scan
from shardstore.errors import OutcomeUnknown, ScanInvalidated, Unavailable
from shardstore.options import ScanMode
from shardstore.wire.wire_format import Op
from tests.property.test_session import ACTIONS, World
from tests.unit.client.session_driver import new_scan
from tests.unit.fake_cluster import Frames

STATIC = [bytes([first, 9]) for first in range(0, 256, 12)]
BOUNDS = [b"\x01\x00", b"\x02", b"\x20", b"\x41", b"\x41\x05", b"\x60", b"\x81\x01", b"\xa0", b"\xc1", b"\xe0"]
WORKERS = st.sampled_from([0, 1])
CHANGES = st.one_of(
    st.tuples(st.just("split"), st.sampled_from(BOUNDS), st.tuples(WORKERS, WORKERS)),
    st.tuples(st.just("merge"), st.sampled_from(BOUNDS), WORKERS),
    st.tuples(st.just("shift"), st.sampled_from(BOUNDS), WORKERS),
    st.tuples(st.just("fence")),
    st.tuples(st.just("forget")),
    st.tuples(st.just("late"), st.sampled_from(["router", "worker:0", "worker:1"])),
    st.tuples(st.just("reply")),
    st.tuples(st.just("values"), st.sampled_from([1, 2, 100])),
)
SCANS = st.one_of(
    st.tuples(st.just("scan"), st.sampled_from(ScanMode), st.booleans()),
    st.tuples(st.just("scan on"), st.integers(0, 3)),
)


class Following:
    """A scan in progress: the call it waits for, and the static keys it has returned."""

    def __init__(self, mode: ScanMode, reverse: bool) -> None:
        self.scan: Scan = new_scan(mode=mode, reverse=reverse, keys_only=True)
        self.expected = STATIC[::-1] if reverse else STATIC
        self.found: list[bytes] = []
        self.call: Call | None = None
        self.error: Exception | None = None

    def take(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            self.error = answer
        elif isinstance(self.call, EndScan):
            self.scan.confirm()
        else:
            self.found += [key for key in self.scan.take(answer) if key in STATIC]
        self.call = None

    def check(self) -> None:
        if self.error is None:
            assert self.found == self.expected
            return
        assert isinstance(self.error, ScanInvalidated | Unavailable)
        assert self.found == self.expected[: len(self.found)]


class ChangingWorld(World):
    def __init__(self) -> None:
        super().__init__()
        self.cluster.page_entries = 3
        self.cluster.data.update(dict.fromkeys(STATIC, b"static"))
        self.merges = 0
        self.scans: list[Following] = []
        self.replies: list[tuple[str, Frames]] = []

    def befall(self, action: tuple[Any, ...]) -> None:
        cluster = self.cluster
        match action:
            case ("split", at, workers) if cluster.route_map.route_of(at).start != at:
                cluster.split(cluster.route_map.route_of(at).segment, at, workers)
            case ("merge", at, worker) if cluster.route_map.route_of(at) is not cluster.route_map.routes[-1]:
                self.merges += 1
                cluster.merge(cluster.route_map.route_of(at).segment, worker)
            case ("shift", at, worker):
                cluster.move(cluster.route_map.route_of(at).segment, worker)
            case ("fence",):
                cluster.fence()
            case ("forget",):
                cluster.forget_former()
            case ("values", most):
                cluster.values_max = most
            case ("late", link):
                self.answer_late(link)
            case ("reply",) if self.replies:
                link, frames = self.replies.pop(0)
                self.driver.receive(frames, link)
            case ("scan", mode, reverse) if len(self.scans) < 4:
                self.scans.append(Following(mode, reverse))
                self.scan_on(self.scans[-1])
            case ("scan on", at) if at < len(self.scans):
                self.scan_on(self.scans[at])
            case _:
                super().befall(action)

    def answer_late(self, link: str) -> None:
        """Deliver the first message on a link; its reply is delivered later."""
        for at, (name, frames) in enumerate(self.driver.wire):
            if name == link:
                del self.driver.wire[at]
                self.replies += [(link, reply) for reply in self.cluster.receive(link, frames)]
                return

    def scan_on(self, following: Following) -> None:
        if following.call in self.driver.ended:
            following.take(self.driver.ended[following.call])
        if following.call is None and following.error is None:
            following.call = following.scan.next_call()
            if following.call is not None:
                self.driver.submit(following.call)

    def finish(self) -> None:
        self.cluster.fence()
        super().finish()
        for following in self.scans:
            self.scan_on(following)
            while following.call is not None:
                self.driver.run()
                self.driver.advance(25_000)
                assert following.call in self.driver.ended
                self.scan_on(following)
        self.driver.advance(25_000)

    def check_ends(self) -> None:
        super().check_ends()
        for following in self.scans:
            following.check()

    def check_end(self, call: Any, end: Any, written: Any) -> None:
        if isinstance(end, OutcomeUnknown) and "cannot be told any more" in str(end):
            assert self.merges, "only writes that were open in two segments when they merged"
        if call.op == Op.DELETE:
            in_doubt = isinstance(end, OutcomeUnknown) and self.merges
            assert end is None or call in self.abandoned or in_doubt, "nobody waits for a write that was left"
        else:
            super().check_end(call, end, written)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(ACTIONS, CHANGES), min_size=10, max_size=120))
def test_every_call_ends_as_the_cluster_knows(actions: list[tuple[Any, ...]]) -> None:
    world = ChangingWorld()
    world.run(actions)
    world.check_ends()
    world.check_order()
    world.check_reads()


@pytest.mark.fault("H8")
@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(ACTIONS, CHANGES, SCANS, SCANS), min_size=10, max_size=120))
def test_scans_are_complete_or_raise(actions: list[tuple[Any, ...]]) -> None:
    world = ChangingWorld()
    world.run(actions)
    world.check_ends()
