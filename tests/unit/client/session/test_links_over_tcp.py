"""What a session does as links over tcp come up, are lost, and are refused; and with requests that are denied."""

from __future__ import annotations

import pytest

from shardstore.client.calls.calls import Open
from shardstore.errors import AccessDenied, OutcomeUnknown
from shardstore.seams.effects import LinkDenied, LinkDown, LinkUp
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Op, Status
from tests.unit.client.session_driver import TIMEOUT_NS, SessionDriver, get, put, put_many
from tests.unit.fake_cluster import FakeCluster, Lose, Refuse

DENIED = Refuse(Status.DENIED, refusal=Refusal("the key may only read"))


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.endpoints = {worker: f"tcp://host:{7_701 + worker}" for worker in cluster.endpoints}
    return cluster


def links_of(driver: SessionDriver) -> list[str]:
    return [link for link, header in driver.routed() if header.op != Op.HELLO]


def test_a_worker_is_talked_to_directly_once_its_link_is_up(driver: SessionDriver) -> None:
    assert driver.links["worker:0"] == "tcp://host:7701"
    assert driver.call(put(b"\x01")) is None
    driver.handle(LinkUp("worker:0"))
    assert driver.call(put(b"\x02")) is None
    assert driver.call(put(b"\xff")) is None
    assert links_of(driver) == ["router", "worker:0", "router"]


def test_what_a_lost_link_has_not_answered_goes_through_the_router(driver: SessionDriver) -> None:
    driver.handle(LinkUp("worker:0"))
    driver.silent.add("worker:0")
    write, read = put(b"\x01"), get(b"\x02")
    driver.submit(write)
    driver.submit(read)
    driver.run()
    assert len(driver.ended) == 1, "only the Open has ended"
    driver.handle(LinkDown("worker:0"))
    driver.run()
    assert driver.ended[write] is None
    assert read in driver.ended
    assert links_of(driver) == ["worker:0", "worker:0", "router", "router"]
    assert len(driver.cluster.log) == 1
    driver.silent.clear()
    driver.handle(LinkUp("worker:0"))
    assert driver.call(put(b"\x03")) is None
    assert links_of(driver)[-1] == "worker:0"


def test_a_lost_link_makes_the_session_ask_where_the_worker_is_now(driver: SessionDriver) -> None:
    driver.handle(LinkUp("worker:0"))
    driver.cluster.endpoints[0] = "tcp://host:9999"
    driver.cluster.new_epochs(0)
    driver.handle(LinkDown("worker:0"))
    driver.run()
    assert driver.links["worker:0"] == "tcp://host:9999"
    assert driver.call(put(b"\x01")) is None
    assert links_of(driver) == ["router"], "the new link is not up yet"


def test_a_worker_that_does_not_let_the_client_in_is_reached_through_the_router(driver: SessionDriver) -> None:
    driver.handle(LinkUp("worker:0"))
    driver.silent.add("worker:0")
    call = put(b"\x01")
    driver.submit(call)
    driver.run()
    driver.handle(LinkDenied("worker:0", "it does not know the key"))
    driver.run()
    assert driver.ended[call] is None
    assert "worker:0" not in driver.links


def test_when_the_router_does_not_let_the_client_in_all_calls_fail_with_its_words(driver: SessionDriver) -> None:
    driver.silent.add("router")
    read, write = get(b"\x01"), put(b"\x02")
    driver.submit(read)
    driver.submit(write)
    driver.run()
    driver.handle(LinkDenied("router", "the key was revoked"))
    assert type(driver.ended[read]) is AccessDenied
    assert str(driver.ended[read]) == "the key was revoked"
    assert type(driver.ended[write]) is OutcomeUnknown, "it was sent"
    assert "router" not in driver.links


def test_a_call_that_waits_to_be_sent_again_fails_too(driver: SessionDriver) -> None:
    driver.handle(LinkUp("worker:0"))
    driver.cluster.script.append(Refuse(Status.BUSY, 500))
    call = put(b"\x01")
    driver.call(call)
    assert call not in driver.ended
    driver.handle(LinkDenied("router", "the key was revoked"))
    assert type(driver.ended[call]) is AccessDenied


def test_after_a_refusal_the_next_call_tries_again(driver: SessionDriver) -> None:
    driver.handle(LinkDenied("router", "the key was revoked"))
    call = get(b"\x01")
    driver.submit(call)
    assert "router" not in driver.links, "not at once: somebody may try in a loop"
    driver.advance(600)
    assert driver.links["router"] == "unix://router"
    assert driver.ended[call] is None


def test_opening_a_client_that_is_not_let_in_fails_at_once(cluster: FakeCluster) -> None:
    driver = SessionDriver(cluster, opened=False)
    call = Open(TIMEOUT_NS)
    driver.submit(call)
    driver.handle(LinkDenied("router", "the store asks for a key"))
    assert type(driver.ended[call]) is AccessDenied


class TestDenied:
    def test_a_denied_call_fails_and_is_not_sent_again(self, driver: SessionDriver) -> None:
        driver.cluster.script.append(DENIED)
        call = put(b"\x01")
        driver.call(call)
        assert type(driver.ended[call]) is AccessDenied
        assert str(driver.ended[call]) == "the key may only read"
        driver.advance(5_000)
        assert len(driver.routed()) == 1

    def test_a_batch_of_which_all_parts_are_denied_is_not_in_doubt(self, driver: SessionDriver) -> None:
        driver.cluster.script.extend([DENIED] * 4)
        keys = [b"\x01", b"\x41", b"\x81", b"\xc1"]
        call = put_many(keys, keys)
        driver.call(call)
        assert type(driver.ended[call]) is AccessDenied
        assert driver.cluster.log == []

    @pytest.mark.parametrize("denied_at", range(4))
    def test_a_batch_of_which_a_part_is_denied_says_what_is_known(self, driver: SessionDriver, denied_at: int) -> None:
        driver.cluster.script.extend([None] * denied_at + [DENIED])
        keys = [b"\x01", b"\x41", b"\x81", b"\xc1"]
        call = put_many(keys, keys)
        driver.call(call)
        ended = driver.ended[call]
        assert type(ended) is OutcomeUnknown
        assert type(ended.__cause__) is AccessDenied

    def test_a_denied_retry_leaves_the_first_attempt_in_doubt(self, driver: SessionDriver) -> None:
        driver.cluster.script.extend([Lose.REPLY, DENIED])
        call = put(b"\x01")
        driver.call(call)
        driver.advance(3_000)
        assert type(driver.ended[call]) is OutcomeUnknown
