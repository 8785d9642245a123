"""A session finds its router and its store again after a restart of the cluster, and never uses another store."""

from __future__ import annotations

import pytest

from shardstore.client.calls.calls import GetStats, Open
from shardstore.client.session.whereabouts import Found
from shardstore.errors import OutcomeUnknown, Unavailable
from shardstore.identifiers import tag_of_store
from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.wire.wire_format import Flag, Op
from tests.unit.client.session_driver import TIMEOUT_NS, SessionDriver, get, put, put_many
from tests.unit.fake_cluster import FakeCluster

ELSEWHERE = Found("unix://elsewhere")
GONE = Found("unix://router", "nobody listens")


@pytest.fixture
def through_router() -> SessionDriver:
    return SessionDriver(FakeCluster(), direct=False)


def stop(driver: SessionDriver) -> None:
    """Stop all replies."""
    driver.silent = {"router"}
    driver.failing = {"worker:0", "worker:1"}


def start(driver: SessionDriver) -> None:
    """Bring the cluster back, with new ownerships for all workers."""
    driver.silent.clear()
    driver.failing.clear()
    for worker in driver.cluster.endpoints:
        driver.cluster.new_epochs(worker)


def test_every_message_after_the_welcome_names_the_store(driver: SessionDriver) -> None:
    driver.call(put(b"key"))
    driver.call(GetStats(TIMEOUT_NS))
    driver.cluster.new_epochs(0)
    driver.call(get(b"key"))
    assert {header.store for _, header in driver.sent} == {tag_of_store("store")}
    assert driver.finder.learned == [("unix://router", "/data")]


def test_a_restarted_cluster_is_found_at_its_new_url_and_the_client_stays_who_it_is(driver: SessionDriver) -> None:
    stop(driver)
    calls = [put(b"\x01"), get(b"\xff")]
    driver.submit(*calls)
    driver.advance(3_000)
    assert not driver.ended.keys() & set(calls)
    start(driver)
    driver.silent = {"router"}
    driver.finder.found = ELSEWHERE
    while driver.links["router"] == "unix://router":
        driver.advance(10)
    driver.silent.clear()
    driver.advance(300)
    assert driver.ended.keys() >= set(calls)
    assert len(driver.cluster.log) == 1
    assert driver.cluster.clients == 1
    assert len({header.client for header in driver.cluster.requests}) == 1


def test_what_the_former_router_was_asked_is_asked_again_at_once(through_router: SessionDriver) -> None:
    driver = through_router
    driver.silent = {"router"}
    call = put(b"key")
    driver.submit(call)
    driver.advance(900)
    driver.cluster.new_epochs(0)
    driver.finder.found = ELSEWHERE
    driver.advance(400)
    assert driver.links["router"] == "unix://elsewhere"
    assert [header.flags & Flag.RETRY for _, header in driver.routed()][-1], "it may have been applied"
    driver.silent.clear()
    driver.advance(2_000)
    assert driver.ended[call] is None
    assert len(driver.cluster.log) == 1


def test_more_workers_than_before(driver: SessionDriver) -> None:
    stop(driver)
    call = put(b"\xff")
    driver.submit(call)
    driver.advance(500)
    driver.cluster.endpoints[2] = "unix://worker-2"
    start(driver)
    driver.cluster.give_to(2, [4])
    driver.advance(2_000)
    assert driver.ended[call] is None
    assert driver.call(get(b"\xff")) == b"value"
    assert driver.sent[-1][0] == "worker:2"


def test_who_opens_a_client_is_told_soon_that_nobody_listens() -> None:
    driver = SessionDriver(FakeCluster(), opened=False)
    driver.silent = {"router"}
    driver.finder.found = GONE
    call = Open(30 * SECOND_NS)
    driver.submit(call)
    driver.advance(1_400)
    assert call not in driver.ended
    driver.advance(500)
    assert isinstance(driver.ended[call], Unavailable)
    assert str(driver.ended[call]) == "nobody listens"


def test_who_opens_a_client_waits_for_a_router_that_is_started_again() -> None:
    driver = SessionDriver(FakeCluster(), opened=False)
    driver.silent = {"router"}
    driver.finder.found = GONE
    call = Open(30 * SECOND_NS)
    driver.submit(call)
    for found in (GONE, Found("unix://router"), GONE):
        driver.finder.found = found
        driver.advance(900)
    driver.silent.clear()
    driver.advance(500)
    assert driver.ended[call] is None


def test_other_calls_wait_for_the_cluster_and_end_with_what_is_missing(driver: SessionDriver) -> None:
    stop(driver)
    driver.finder.found = Found("", "no cluster is running on data")
    calls = [get(b"\x01"), put(b"\x02")]
    driver.submit(*calls)
    driver.advance(9_000)
    assert not driver.ended.keys() & set(calls)
    driver.advance(1_100)
    for call in calls:
        assert isinstance(driver.ended[call], Unavailable | OutcomeUnknown)
        assert "within 10 s: no cluster is running on data" in str(driver.ended[call])


def test_a_write_that_nobody_was_there_to_take_is_not_in_doubt(driver: SessionDriver) -> None:
    driver.call(put(b"\x01"))
    driver.advance(2_000)
    stop(driver)
    driver.finder.found = GONE
    calls = [put(b"\x01"), put_many([b"\x01", b"\xff"], [b"1", b"2"]), get(b"\x01")]
    driver.submit(*calls)
    driver.advance(10_100)
    for call in calls:
        assert type(driver.ended[call]) is Unavailable
        assert str(driver.ended[call]) == "no answer within 10 s: nobody listens"
    for idle_ms in (0, 3_000, 60_000):
        driver.advance(idle_ms)
        late = put(b"\x02", timeout_ns=50 * MILLISECOND_NS)
        driver.submit(late)
        driver.advance(100)
        assert str(driver.ended[late]) == "no answer within 0.05 s: nobody listens"
    assert driver.routed()[1:] == [], "nothing but the first put was given away"


def test_what_was_kept_goes_to_the_router_as_soon_as_it_is_there(driver: SessionDriver) -> None:
    driver.call(put(b"\x01"))
    driver.advance(2_000)
    stop(driver)
    driver.finder.found = GONE
    call = put(b"\x01")
    driver.submit(call)
    driver.advance(3_000)
    start(driver)
    driver.finder.found = Found("unix://router")
    driver.advance(1_000)
    assert driver.ended[call] is None
    assert len(driver.cluster.log) == 2
    assert not driver.routed()[-1][1].flags & Flag.RETRY, "it was never sent before"


def test_a_short_timeout_does_not_hide_that_nobody_is_there(driver: SessionDriver) -> None:
    driver.call(put(b"\x01"))
    driver.advance(2_000)
    driver.silent = {"router", "worker:0"}
    calls = [get(b"\x01", 50 * MILLISECOND_NS), put(b"\x01", timeout_ns=50 * MILLISECOND_NS)]
    for call, found in zip(calls, (Found("unix://router"), GONE), strict=True):
        driver.finder.found = found
        driver.submit(call)
        driver.advance(300)
    assert str(driver.ended[calls[0]]) == "no answer within 0.05 s from worker 0"
    assert "no answer within 0.05 s: nobody listens" in str(driver.ended[calls[1]])
    assert type(driver.ended[calls[1]]) is OutcomeUnknown, "it was sent"


def test_nobody_is_asked_while_nobody_waits(driver: SessionDriver) -> None:
    stop(driver)
    driver.submit(get(b"key"))
    driver.advance(25_000)
    driver.sent.clear()
    driver.advance(100_000)
    assert [header for _, header in driver.sent if header.op == Op.ROUTES] == []
    start(driver)
    driver.cluster.data[b"key"] = b"v"
    assert driver.call(get(b"key")) == b"v"


def test_another_store_in_the_same_place_is_never_asked_anything(driver: SessionDriver) -> None:
    driver.cluster.store = "another"
    calls = [get(b"\x01"), put(b"\x02"), put_many([b"\x01", b"\xff"], [b"1", b"2"])]
    for call in calls:
        driver.call(call)
        assert isinstance(driver.ended[call], Unavailable)
        assert "another store is served at unix://router now: this is another" in str(driver.ended[call])
    assert driver.cluster.log == []
    assert driver.cluster.requests == []


def test_the_store_is_found_again_when_another_one_has_taken_its_place(through_router: SessionDriver) -> None:
    driver = through_router
    driver.cluster.store = "another"
    driver.finder.found = ELSEWHERE
    call = put(b"key")
    driver.submit(call)
    driver.deliver()
    assert driver.links["router"] == "unix://elsewhere"
    driver.cluster.store = "store"
    driver.run()
    assert driver.ended[call] is None
    assert len(driver.cluster.log) == 1


def test_the_store_that_comes_back_is_served_again(driver: SessionDriver) -> None:
    driver.cluster.store = "another"
    driver.call(put(b"key"))
    driver.cluster.store = "store"
    assert driver.call(put(b"key")) is None


def test_a_write_that_the_former_cluster_may_have_applied_is_in_doubt(through_router: SessionDriver) -> None:
    driver = through_router
    driver.silent = {"router"}
    call = put(b"key")
    driver.call(call)
    driver.cluster.store = "another"
    driver.silent.clear()
    driver.advance(2_000)
    assert isinstance(driver.ended[call], OutcomeUnknown)


def test_a_place_that_is_of_no_use_any_more_lets_nobody_wait(driver: SessionDriver) -> None:
    stop(driver)
    driver.finder.found = Found("", "data holds another store now", for_good=True)
    call = get(b"key")
    driver.call(call)
    driver.advance(500)
    assert str(driver.ended[call]) == "data holds another store now"


def test_a_new_session_of_the_same_client_is_not_welcomed_to_another_store(driver: SessionDriver) -> None:
    cluster = FakeCluster()
    cluster.store = "another"
    again = SessionDriver(cluster, opened=False, store=driver.finder.store)
    call = Open(TIMEOUT_NS)
    again.call(call)
    again.advance(300)
    assert "another store is served" in str(again.ended[call])
    assert again.cluster.clients == 0


def test_a_request_that_the_former_router_does_not_take_finds_the_router_where_it_is_now(
    through_router: SessionDriver,
) -> None:
    driver = through_router
    driver.failing.add("router")
    driver.finder.found = ELSEWHERE
    driver.advance(1_000)
    call = put(b"key")
    assert driver.call(call) is None
    assert driver.links["router"] == "unix://elsewhere"
    driver.failing.clear()
    driver.advance(1_000)
    assert call in driver.ended
