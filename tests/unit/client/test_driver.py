"""The shell around a session, on a transport made of lists."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import pytest

from shardstore.client.calls.calls import Call, Single
from shardstore.client.driver import Driver
from shardstore.client.session.session import Session
from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.seams.effects import Received
from shardstore.seams.transport import ClientTransport
from shardstore.wire.wire_format import Op
from tests.unit.client.fake_finder import FakeFinder
from tests.unit.client.session_driver import NoJitter
from tests.unit.fake_cluster import FakeCluster


class ListedTransport:
    """A transport on which a fake cluster answers everything sent. `strikes` names the operation that raises."""

    def __init__(self, now: HandClock) -> None:
        self.links: set[str] = set()
        self.strikes = ""
        self.waits: list[int | None] = []
        self._cluster = FakeCluster()
        self._clock = now
        self._replies: deque[Received] = deque()

    def connect(self, link: str, endpoint: str) -> None:
        self._strike("connect")
        self.links.add(link)

    def disconnect(self, link: str) -> None:
        self.links.discard(link)

    def send(self, link: str, peer: bytes, frames: Sequence[bytes]) -> bool:
        self._strike("send")
        self._replies += [Received(link, b"", reply) for reply in self._cluster.receive(link, list(frames))]
        return True

    def wait(self, timeout_ns: int | None) -> bool:
        self._strike("wait")
        self.waits.append(timeout_ns)
        if not self._replies:
            self._clock.now += timeout_ns or 0
        return bool(self._replies)

    def take(self) -> list[Received]:
        self._strike("take")
        replies, self._replies = list(self._replies), deque()
        return replies

    def _strike(self, where: str) -> None:
        if self.strikes == where:
            raise KeyboardInterrupt


class HandClock:
    """A clock that advances while the transport waits."""

    def __init__(self) -> None:
        self.now = SECOND_NS

    def now_ns(self) -> int:
        return self.now


class Driven:
    """A driver, its surroundings, and the calls that have ended."""

    def __init__(self) -> None:
        clock = HandClock()
        self.transport = ListedTransport(clock)
        self.ended: list[Call] = []

        def new_session() -> Session:
            return Session(FakeFinder(), NoJitter(), True, lambda endpoint: endpoint, lambda *_: None)

        self.driver = Driver(lambda: cast(ClientTransport, self.transport), clock, new_session, self.ended.append)
        self.driver.start_over()

    def get(self, key: bytes) -> Any:
        call = Single(SECOND_NS, Op.GET, key)
        self.driver.handle([call])
        while not call.settled:
            self.driver.receive(None)
        return self.ended[-1].answer


@pytest.fixture
def driven() -> Driven:
    driven = Driven()
    assert driven.get(b"a") is None
    return driven


@pytest.mark.parametrize(("where", "torn"), [("wait", False), ("take", True), ("send", True)])
def test_only_an_interrupted_wait_leaves_it_whole(driven: Driven, where: str, torn: bool) -> None:
    driven.transport.strikes = where
    with pytest.raises(KeyboardInterrupt):
        driven.get(b"a")
    assert driven.driver.torn is torn
    driven.transport.strikes = ""
    if torn:
        driven.driver.start_over()
    assert not driven.driver.torn
    assert driven.get(b"a") is None


def test_a_start_that_fails_leaves_it_torn_and_may_be_tried_again(driven: Driven) -> None:
    driven.transport.strikes = "connect"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            driven.driver.start_over()
        assert driven.driver.torn
        assert not driven.transport.links
    driven.transport.strikes = ""
    driven.driver.start_over()
    assert driven.get(b"a") is None


def test_a_tick_counts_as_something_since_it_may_have_sent(driven: Driven) -> None:
    driven.driver.handle([Single(100 * MILLISECOND_NS, Op.GET, b"a")])
    assert driven.driver.receive(0), "the answer"
    assert not driven.driver.receive(0), "nothing"
    driven.transport.send = lambda link, peer, frames: True  # type: ignore[method-assign]
    driven.driver.handle([Single(100 * MILLISECOND_NS, Op.GET, b"a")])
    assert driven.driver.receive(None), "the end of the call"
    assert driven.ended[-1].error is not None
