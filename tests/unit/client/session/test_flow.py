"""The number of requests under way, their order, and calls gathered into one message."""

from __future__ import annotations

from collections import Counter

import pytest

from shardstore.client.calls.calls import Call, Maintain
from shardstore.client.session import lanes
from shardstore.client.session.lanes import RequestState
from shardstore.errors import Busy, OutcomeUnknown, Unavailable
from shardstore.limits import CREDITS, MILLISECOND_NS
from shardstore.wire.wire_format import Op, Status
from tests.unit.client.session.session_changes import late
from tests.unit.client.session_driver import TIMEOUT_NS, SessionDriver, contains, delete, get, get_many, put, put_many
from tests.unit.fake_cluster import FakeCluster, Lose, Refuse


def _channels(driver: SessionDriver) -> dict[str, int]:
    return {channel.link: channel.in_flight for channel in driver.session._lane_map.channels.values()}


def test_calls_made_together_are_gathered_by_kind_and_range(driver: SessionDriver) -> None:
    keys = [bytes([at]) for at in range(64)]
    calls = [*map(get, keys), *map(contains, keys), *map(put, keys)]
    driver.submit(*calls)
    assert sorted((header.op, header.entries) for _, header in driver.sent) == [
        (Op.GET, 64),
        (Op.GET, 64),
        (Op.PUT, 64),
    ]
    driver.run()
    assert set(calls) <= driver.ended.keys()


def test_gathered_values_of_many_lengths(driver: SessionDriver) -> None:
    puts = [put(b"k" * at, b"v" * (100 - at)) for at in range(1, 100)]
    driver.submit(*puts)
    driver.run()
    gets = [get(b"k" * at) for at in range(1, 100)]
    driver.submit(*gets)
    driver.run()
    assert len(driver.sent) == 2
    assert [driver.ended[call] for call in gets] == [b"v" * (100 - at) for at in range(1, 100)]


def test_writes_gather_while_one_is_under_way(driver: SessionDriver) -> None:
    for at in range(100):
        driver.submit(put(bytes([at % 4]), str(at).encode()))
    assert len(driver.sent) == 1
    driver.deliver()
    assert [header.entries for _, header in driver.sent] == [1, 99]
    driver.run()
    assert driver.cluster.data == {bytes([at % 4]): str(at).encode() for at in range(96, 100)}


def test_gathered_requests_are_bounded(driver: SessionDriver) -> None:
    driver.submit(*(put(b"key", b"v" * 300_000) for _ in range(10)))
    driver.run()
    assert [header.entries for _, header in driver.sent] == [4, 4, 2]
    driver.submit(*(get(b"absent") for _ in range(10_000)))
    driver.run()
    assert [header.entries for _, header in driver.sent[3:]] == [4_096, 4_096, 1_808]


def test_never_more_under_way_than_credits(driver: SessionDriver) -> None:
    calls: list[Call] = []
    for at in range(200):
        calls += [get_many([bytes([at])]), put_many([bytes([at])], [b"v"])]
        driver.submit(*calls[-2:])
    assert driver.waiting_for("worker:0") == driver.waiting_for("worker:1") == CREDITS
    while driver.wire:
        driver.deliver()
        under_way = Counter(link for link, _ in driver.wire)
        assert max(under_way.values(), default=0) <= CREDITS
        assert dict(under_way) == {link: count for link, count in _channels(driver).items() if count}
    assert set(calls) <= driver.ended.keys()


MANY_RANGES = [bytes([number]) for number in range(1, 256)]


@pytest.mark.parametrize("op", [Op.FLUSH, Op.COMPACT])
def test_many_ranges_are_flushed_together_and_others_keep_their_credits(
    op: Op, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "BARRIERS_FREE", 40)
    driver = SessionDriver(FakeCluster(MANY_RANGES))
    flush = Maintain(TIMEOUT_NS, op)
    driver.submit(flush)
    for link in ("worker:0", "worker:1"):
        assert driver.waiting_for(link) == 40 + CREDITS, "beyond the first ones each takes a credit"
    driver.run()
    assert driver.ended[flush] is None
    assert len(driver.sent) == len(MANY_RANGES) + 1
    assert set(_channels(driver).values()) == {0}

    driver = SessionDriver(FakeCluster(MANY_RANGES[:60]))
    driver.submit(Maintain(TIMEOUT_NS, op), get(b"\x00"))
    assert driver.sent[-1][1].op == Op.GET, "it does not wait"


def test_the_router_is_not_asked_to_flush_more_ranges_at_once_than_there_are_credits() -> None:
    driver = SessionDriver(FakeCluster(MANY_RANGES[:60]), direct=False)
    flush = Maintain(TIMEOUT_NS, Op.FLUSH)
    driver.submit(flush)
    assert driver.waiting_for("router") == 2 * CREDITS, "for two workers"
    driver.run()
    assert driver.ended[flush] is None


def test_replies_set_the_credits(driver: SessionDriver) -> None:
    driver.cluster.credits = 3
    driver.call(get(b"\x01"))
    for at in range(50):
        driver.submit(get_many([bytes([at])]))
    assert driver.waiting_for("worker:0") == 3
    driver.cluster.credits = 7
    driver.deliver()
    assert driver.waiting_for("worker:0") == 7


def test_a_late_reply_that_raises_the_credits_lets_what_waits_be_sent(driver: SessionDriver) -> None:
    driver.cluster.credits = 1
    driver.call(get(b"\x01"))
    first, *waiting = [get(key) for key in (b"\x01", b"\x41", b"\x02")]
    for call in (first, *waiting):
        driver.submit(call)
    driver.cluster.credits = 7
    reply = late(driver)
    driver.silent |= {"router", "worker:0"}
    driver.advance(1_100)
    driver.receive(reply, "worker:0")
    assert first in driver.ended
    assert [call in driver.ended for call in waiting] == [False, False]
    under_way = driver.session._sender.requests()
    assert [(request.calls, request.state) for request in under_way] == [
        ([call], RequestState.SENT) for call in waiting
    ]


@pytest.mark.fault("B5")
def test_credits_come_back_whatever_happens(driver: SessionDriver) -> None:
    driver.cluster.script.extend(
        [Lose.REQUEST, Lose.REPLY, Refuse(Status.BUSY, 30), Refuse(Status.UNKNOWN), Refuse(Status.FAILED), None] * 10
    )
    calls = [make(bytes([at])) for at in range(0, 256, 4) for make in (get, put)]
    for call in calls:
        driver.submit(call)
    for call in calls[::3]:
        driver.abandon(call)
    driver.run()
    driver.advance(30_000)
    assert _channels(driver) == {"worker:0": 0, "worker:1": 0}
    assert driver.session._sender.requests() == []
    assert driver.session.wakeup_ns() is None
    assert len(driver.ended) == 1 + len(calls) - len(calls[::3])


def test_one_range_does_not_wait_for_another(driver: SessionDriver) -> None:
    driver.cluster.script.append(Refuse(Status.BUSY, 1_000))
    slow, fast = put(b"\x01"), put(b"\x41")
    driver.call(slow)
    driver.call(fast)
    assert fast in driver.ended
    assert slow not in driver.ended


def test_reads_do_not_wait_for_writes(driver: SessionDriver) -> None:
    driver.cluster.script.append(Refuse(Status.BUSY, 1_000))
    driver.call(put(b"\x01"))
    read = get(b"\x01")
    driver.call(read)
    assert read in driver.ended


@pytest.mark.parametrize(
    "fate", [Lose.REQUEST, Lose.REPLY, Refuse(Status.BUSY, 100), Refuse(Status.UNKNOWN), Refuse(Status.STALE_ROUTE)]
)
def test_parts_added_in_order_are_applied_in_order(driver: SessionDriver, fate: Lose | Refuse) -> None:
    """A later write of a key never overtakes an earlier one, however that ends."""
    driver.cluster.script.append(fate)
    for version in (b"1", b"2", b"3"):
        driver.submit(put_many([b"a", b"b"], [version, version]))
    driver.run()
    driver.advance(3_000)
    assert [values for _, _, values in driver.cluster.log] == [[b"1", b"1"], [b"2", b"2"], [b"3", b"3"]]


def test_single_writes_of_one_kind_keep_their_order(driver: SessionDriver) -> None:
    driver.submit(put(b"x"))
    driver.submit(delete(b"a"))
    driver.submit(put(b"a", b"1"))
    driver.submit(put(b"a", b"2"))
    driver.run()
    assert driver.cluster.data == {b"x": b"value", b"a": b"2"}


def test_ranges_with_much_to_send_take_turns() -> None:
    driver = SessionDriver(FakeCluster([b"\x80"], workers=1))
    driver.cluster.credits = 1
    driver.call(get(b"a"))
    driver.sent.clear()
    for _ in range(5):
        driver.submit(get_many([b"\x01"]))
    driver.submit(get_many([b"\x81"]))
    driver.deliver(2)
    assert 2 in [header.segment for _, header in driver.sent]


def test_an_abandoned_call_is_not_sent_if_it_still_waits(driver: SessionDriver) -> None:
    first, second = put(b"a", b"1"), put(b"a", b"2")
    driver.submit(first)
    driver.submit(second)
    driver.abandon(second)
    driver.abandon(first)
    driver.run()
    assert driver.cluster.data == {b"a": b"1"}
    assert second not in driver.ended


def test_a_call_abandoned_before_it_is_submitted(driver: SessionDriver) -> None:
    call = put(b"a")
    driver.abandon(call)
    driver.submit(call)
    assert not driver.sent
    assert driver.session.wakeup_ns() is None


def test_an_abandoned_call_holds_its_credit_until_its_answer(driver: SessionDriver) -> None:
    call = get(b"a")
    driver.submit(call)
    driver.abandon(call)
    assert _channels(driver)["worker:0"] == 1
    driver.run()
    assert _channels(driver)["worker:0"] == 0


def test_gathered_calls_have_deadlines_of_their_own(driver: SessionDriver) -> None:
    driver.silent |= {"worker:0", "router"}
    hasty, patient = put(b"a", timeout_ns=100 * MILLISECOND_NS), put(b"b")
    driver.submit(hasty, patient)
    driver.advance(150)
    assert type(driver.ended[hasty]) is OutcomeUnknown
    assert patient not in driver.ended
    driver.silent.clear()
    driver.advance(1_000)
    assert driver.ended[patient] is None
    assert len(driver.cluster.log) == 1


def test_a_refused_gathered_write_goes_on_without_those_that_gave_up(driver: SessionDriver) -> None:
    """Their callers are told that nothing was applied, so it must not be applied later."""
    driver.cluster.script.append(Refuse(Status.BUSY, 200))
    hasty, patient = put(b"a", timeout_ns=100 * MILLISECOND_NS), put(b"b")
    driver.submit(hasty, patient)
    driver.run()
    driver.advance(500)
    assert type(driver.ended[hasty]) is Busy
    assert driver.ended[patient] is None
    assert driver.cluster.data == {b"b": b"value"}


def test_a_late_answer_in_parts_is_for_what_was_asked_then(driver: SessionDriver) -> None:
    driver.cluster.data.update({b"a": b"of a", b"b": b"of b"})
    driver.cluster.values_max = 1
    hasty, patient = get(b"a", 100 * MILLISECOND_NS), get(b"b")
    driver.submit(hasty, patient)
    (late,) = driver.cluster.receive(*driver.wire.popleft())
    driver.silent |= {"worker:0", "worker:1", "router"}
    driver.advance(1_500)
    driver.silent.clear()
    driver.receive(late, "worker:0")
    driver.run()
    assert driver.ended[patient] == b"of b"


def test_gathered_writes_that_are_refused_to_the_end_are_all_known(driver: SessionDriver) -> None:
    driver.cluster.script.extend([Refuse(Status.BUSY, 50)] * 1_000)
    calls = [put(bytes([at])) for at in range(10)]
    driver.submit(*calls)
    driver.run()
    driver.advance(11_000)
    assert {type(driver.ended[call]) for call in calls} == {Busy}


def test_a_call_that_never_got_a_credit_was_not_sent(driver: SessionDriver) -> None:
    driver.silent |= {"worker:0", "router"}
    driver.submit(put(b"a"))
    behind = put_many([b"b"], [b"v"], timeout_ns=100 * MILLISECOND_NS)
    driver.submit(behind)
    driver.advance(150)
    assert type(driver.ended[behind]) is Unavailable
