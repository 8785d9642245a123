"""The routes of a session: newer and older ones, when and where it asks for them, and links that come and go."""

from __future__ import annotations

import pytest

from shardstore.client.calls.calls import Maintain, Open
from shardstore.wire.wire_format import Flag, Op, Status
from tests.unit.client.session_driver import TIMEOUT_NS, SessionDriver, get, put
from tests.unit.fake_cluster import FakeCluster, Lose, Refuse


@pytest.mark.fault("C7")
def test_a_stale_route_brings_the_newer_routes(driver: SessionDriver) -> None:
    driver.cluster.new_epochs(0)
    call = put(b"key")
    driver.call(call)
    assert driver.ended[call] is None
    assert [header.epoch for _, header in driver.routed()] == [1, 2]
    assert not driver.routed()[1][1].flags & Flag.RETRY


@pytest.mark.fault("N14")
def test_a_range_that_moved_is_found_at_its_new_owner(driver: SessionDriver) -> None:
    driver.cluster.give_to(1, [2])
    assert driver.call(put(b"key")) is None
    assert [link for link, _ in driver.routed()] == ["worker:0", "worker:1"]


@pytest.mark.fault("C7")
def test_a_server_that_is_behind_is_asked_again_later(driver: SessionDriver) -> None:
    driver.cluster.script.extend([Refuse(Status.STALE_ROUTE)] * 3)
    call = put(b"key")
    driver.call(call)
    assert call not in driver.ended
    assert len(driver.routed()) == 1
    driver.advance(100)
    assert driver.ended[call] is None
    assert len(driver.routed()) == 4


def test_new_routes_send_at_once_what_a_former_owner_has(driver: SessionDriver) -> None:
    driver.cluster.down.add(0)
    calls = [get(b"\x01"), put(b"\x02"), get(b"\xff")]
    driver.submit(*calls)
    driver.run()
    assert list(driver.ended)[1:] == [calls[2]]
    driver.cluster.down.clear()
    driver.cluster.new_epochs(0)
    driver.receive(driver.cluster.broadcast())
    driver.run()
    assert set(calls) <= driver.ended.keys()
    assert len(driver.cluster.log) == 1


def test_new_routes_do_not_hurry_who_waits_for_room(driver: SessionDriver) -> None:
    driver.cluster.script.append(Refuse(Status.BUSY, 500))
    driver.call(put(b"key"))
    driver.cluster.new_epochs(0)
    driver.receive(driver.cluster.broadcast())
    assert len(driver.routed()) == 1
    driver.advance(510)
    assert driver.cluster.data == {b"key": b"value"}


@pytest.mark.fault("C7", "N14")
def test_older_routes_are_not_believed(driver: SessionDriver) -> None:
    old = driver.cluster.broadcast()
    driver.cluster.new_epochs(0)
    driver.receive(driver.cluster.broadcast())
    driver.receive(old)
    driver.call(get(b"key"))
    assert driver.routed()[0][1].epoch == 2


def test_endpoints_that_come_and_go(driver: SessionDriver) -> None:
    driver.cluster.down.add(0)
    driver.receive(driver.cluster.broadcast())
    assert driver.links.keys() == {"router", "worker:1"}
    driver.cluster.down.clear()
    driver.cluster.endpoints[0] = "unix://elsewhere"
    driver.receive(driver.cluster.broadcast())
    assert driver.links["worker:0"] == "unix://elsewhere"


def test_what_was_sent_over_a_link_that_is_dropped_is_sent_again(driver: SessionDriver) -> None:
    driver.cluster.script.append(Lose.REPLY)
    call = Maintain(TIMEOUT_NS, Op.FLUSH)
    driver.call(call)
    assert call not in driver.ended
    driver.cluster.endpoints = {worker: f"unix://elsewhere/{worker}" for worker in driver.cluster.endpoints}
    driver.receive(driver.cluster.broadcast())
    driver.run()
    assert call in driver.ended
    assert driver.ended[call] is None


def test_routes_are_asked_for_at_most_four_times_a_second(driver: SessionDriver) -> None:
    driver.cluster.script.extend([Refuse(Status.UNAVAILABLE, 10)] * 10_000)
    for key in range(64):
        driver.submit(put(bytes([key * 4])))
    driver.advance(5_000)
    assert len(driver.routed()) > 500
    assert 15 <= [header.op for _, header in driver.sent].count(Op.ROUTES) <= 20


def test_routes_that_come_before_the_id_are_not_used() -> None:
    driver = SessionDriver(FakeCluster(), opened=False)
    welcome = driver.wire.popleft()
    driver.receive(driver.cluster.broadcast())
    call = get(b"key")
    driver.submit(call)
    assert not driver.wire
    driver.wire.append(welcome)
    driver.run()
    assert call in driver.ended
    assert all(header.client for header in (header for _, header in driver.sent) if header.op != Op.HELLO)


def test_hello_sent_twice_keeps_the_first_id() -> None:
    driver = SessionDriver(FakeCluster(), opened=False)
    hello = driver.wire[0]
    driver.wire.append(hello)
    driver.call(Open(TIMEOUT_NS))
    driver.call(get(b"key"))
    assert driver.sent[-1][1].client == 1_001
