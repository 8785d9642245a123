"""Retries of the session: what it sends again, when and where, and how calls finally end."""

from __future__ import annotations

from typing import Any

import pytest

from shardstore.client.calls.calls import Maintain, ScanPage
from shardstore.errors import (
    Busy,
    Corruption,
    InvalidRequest,
    OutcomeUnknown,
    StorageFailure,
    Unavailable,
)
from shardstore.limits import MILLISECOND_NS
from shardstore.seams.effects import Tick
from shardstore.wire.messages import Refusal, encode
from shardstore.wire.wire_format import Flag, Header, Op, Status
from tests.unit.client.session_driver import TIMEOUT_NS, SessionDriver, delete, get, get_many, put, put_many
from tests.unit.fake_cluster import Lose, Refuse


@pytest.mark.fault("C2")
@pytest.mark.parametrize("lost", [Lose.REQUEST, Lose.REPLY])
def test_a_write_without_an_answer_is_sent_again_and_applied_once(driver: SessionDriver, lost: Lose) -> None:
    driver.cluster.script.append(lost)
    call = put(b"key")
    assert driver.call(call) is None
    assert call not in driver.ended
    driver.advance(999)
    assert len(driver.routed()) == 1
    driver.advance(10)
    assert call in driver.ended
    assert driver.ended[call] is None
    (_, first), (_, second) = driver.routed()
    assert first.sequence == second.sequence
    assert not first.flags & Flag.RETRY
    assert second.flags & Flag.RETRY
    assert len(driver.cluster.log) == 1


def test_the_second_attempt_goes_through_the_router_until_the_direct_way_works(driver: SessionDriver) -> None:
    driver.silent.add("worker:0")
    call = get(b"key")
    driver.call(call)
    driver.advance(1_100)
    driver.call(get(b"\x01"))
    assert [link for link, _ in driver.routed()] == ["worker:0", "router", "router"]
    assert [header.op for link, header in driver.sent if link == "router"].count(Op.ROUTES) == 1
    driver.cluster.new_epochs(0)
    driver.receive(driver.cluster.broadcast())
    driver.call(get(b"\x01"))
    assert driver.routed()[-1][0] == "worker:0"


def test_a_late_answer_restores_the_direct_way(driver: SessionDriver) -> None:
    driver.submit(get(b"key"))
    late = driver.wire.popleft()
    driver.silent.add("router")
    driver.advance(1_050)
    driver.wire.append(late)
    driver.run()
    driver.submit(get(b"key"))
    assert driver.sent[-1][0] == "worker:0"


def test_an_answer_that_nobody_waits_for_any_more_restores_the_direct_way(driver: SessionDriver) -> None:
    given_up = get(b"key", 500 * MILLISECOND_NS)
    driver.submit(given_up)
    late = driver.wire.popleft()
    driver.advance(1_050)
    driver.call(get(b"key"))
    assert driver.routed()[-1][0] == "router"
    driver.wire.append(late)
    driver.run()
    assert (driver.session.late, driver.session.malformed) == (1, 0)
    driver.call(get(b"key"))
    assert driver.routed()[-1][0] == "worker:0"


@pytest.mark.parametrize("trouble", ["failing", "silent"])
def test_the_direct_way_is_tried_again_after_a_while(driver: SessionDriver, trouble: str) -> None:
    getattr(driver, trouble).add("worker:0")
    driver.call(get(b"key"))
    driver.advance(1_050)
    getattr(driver, trouble).clear()
    driver.call(get(b"key"))
    assert driver.routed()[-1][0] == "router"
    driver.advance(5_000)
    driver.call(get(b"key"))
    assert driver.routed()[-1][0] == "worker:0"


def test_attempts_wait_longer_each_time(driver: SessionDriver) -> None:
    driver.silent |= {"router", "worker:0"}
    call = get(b"key", 30_000 * MILLISECOND_NS)
    driver.submit(call)
    driver.advance(31_000)
    assert len(driver.routed()) == 6  # at 0, 1, 3, 7, 15 and 23 seconds
    assert isinstance(driver.ended[call], Unavailable)


def test_a_barrier_is_given_more_time(driver: SessionDriver) -> None:
    driver.silent.add("worker:0")
    call = Maintain(60_000 * MILLISECOND_NS, Op.COMPACT)
    driver.call(call)
    driver.advance(29_000)
    assert len(driver.routed()) == 4
    driver.advance(2_000)
    assert driver.ended[call] is None
    assert len(driver.routed()) == 6


@pytest.mark.parametrize("status", [Status.BUSY, Status.UNAVAILABLE, Status.CLOSED])
def test_a_refused_request_is_sent_again_after_the_time_it_was_told(driver: SessionDriver, status: Status) -> None:
    driver.cluster.script.append(Refuse(status, 200))
    call = put(b"key")
    driver.call(call)
    driver.advance(199)
    assert len(driver.routed()) == 1
    driver.advance(5)
    assert driver.ended[call] is None
    assert not driver.routed()[1][1].flags & Flag.RETRY  # it was refused: it was not sent before
    asked = [header.op for _, header in driver.sent].count(Op.ROUTES)
    assert asked == (0 if status is Status.BUSY else 1)


def test_without_a_time_the_waits_grow(driver: SessionDriver) -> None:
    driver.cluster.script.extend([Refuse(Status.UNAVAILABLE)] * 1_000)
    driver.call(put(b"key", timeout_ns=10_000 * MILLISECOND_NS))
    driver.advance(10_100)
    assert 30 < len(driver.routed()) < 40


def test_busy_until_the_deadline(driver: SessionDriver) -> None:
    driver.cluster.script.extend([Refuse(Status.BUSY, 50, Refusal("range bytes", 70, 60))] * 1_000)
    calls = [put(b"key", timeout_ns=1_000 * MILLISECOND_NS), get(b"key", 1_000 * MILLISECOND_NS)]
    for call in calls:
        driver.call(call)
    driver.advance(1_100)
    for call in calls:
        error = driver.ended[call]
        assert isinstance(error, Busy)
        assert not error.applied
        assert (error.cause, error.used, error.limit, error.retry_after_ns) == ("range bytes", 70, 60, 50_000_000)
    assert 30 < len(driver.routed()) < 45


def test_a_write_behind_one_that_is_refused_ends_with_the_same_reason(driver: SessionDriver) -> None:
    driver.cluster.script.extend([Refuse(Status.BUSY, 50, Refusal("range bytes", 70, 60))] * 1_000)
    driver.call(put(b"a"))
    behind = delete(b"b")
    behind.timeout_ns = 500 * MILLISECOND_NS
    driver.call(behind)
    driver.advance(600)
    assert isinstance(driver.ended[behind], Busy)


def test_unavailable_until_the_deadline(driver: SessionDriver) -> None:
    driver.cluster.script.extend([Refuse(Status.UNAVAILABLE, 100, Refusal("worker 0 is down"))] * 1_000)
    call = put(b"key", timeout_ns=1_000 * MILLISECOND_NS)
    driver.call(call)
    driver.advance(1_100)
    assert isinstance(driver.ended[call], Unavailable)
    assert "worker 0 is down" in str(driver.ended[call])


@pytest.mark.parametrize(
    ("call", "error"), [(put(b"key"), OutcomeUnknown), (delete(b"key"), OutcomeUnknown), (get(b"key"), Unavailable)]
)
def test_no_answer_until_the_deadline(driver: SessionDriver, call: Any, error: type[Exception]) -> None:
    driver.silent |= {"router", "worker:0"}
    driver.submit(call)
    driver.advance(10_010)
    assert type(driver.ended[call]) is error


def test_a_write_that_was_once_sent_and_later_refused_is_unknown(driver: SessionDriver) -> None:
    driver.cluster.script.append(Lose.REPLY)
    driver.cluster.script.extend([Refuse(Status.BUSY, 100)] * 1_000)
    call = put(b"key")
    driver.call(call)
    driver.advance(10_010)
    assert type(driver.ended[call]) is OutcomeUnknown
    assert isinstance(driver.ended[call].__cause__, Busy)
    assert len(driver.cluster.log) == 1


def test_a_write_that_never_left_is_not_unknown(driver: SessionDriver) -> None:
    driver.failing |= {"router", "worker:0"}
    call = put(b"key")
    driver.submit(call)
    driver.advance(10_010)
    assert type(driver.ended[call]) is Unavailable


def test_a_message_that_cannot_leave_directly_goes_through_the_router(driver: SessionDriver) -> None:
    driver.failing.add("worker:0")
    call = put(b"key")
    driver.call(call)
    assert driver.ended[call] is None
    assert [link for link, _ in driver.routed()] == ["router"]


@pytest.mark.parametrize(
    ("refuse", "error"),
    [
        (Refuse(Status.INVALID, 0, Refusal("too long")), InvalidRequest),
        (Refuse(Status.FAILED, 0, Refusal("checksum", file="table", offset=7)), Corruption),
        (Refuse(Status.FAILED, 0, Refusal("read-only file system")), StorageFailure),
        (Refuse(Status.TOO_OLD, 0, Refusal("before the window")), OutcomeUnknown),
    ],
)
def test_refusals_for_good(driver: SessionDriver, refuse: Refuse, error: type[Exception]) -> None:
    driver.cluster.script.append(refuse)
    call = put(b"key")
    driver.call(call)
    assert type(driver.ended[call]) is error
    assert refuse.refusal.what in str(driver.ended[call])
    assert len(driver.sent) == 1
    if error is Corruption:
        assert (driver.ended[call].file, driver.ended[call].offset) == ("table", 7)


def test_unknown_is_asked_again_as_a_retry(driver: SessionDriver) -> None:
    driver.cluster.script.append(Refuse(Status.UNKNOWN))
    call = put(b"key")
    driver.call(call)
    driver.advance(50)
    assert driver.ended[call] is None
    assert driver.routed()[1][1].flags & Flag.RETRY


@pytest.mark.fault("C4")
def test_messages_of_no_use_are_ignored_and_counted(driver: SessionDriver) -> None:
    call = get(b"key")
    driver.submit(call)
    header = driver.sent[-1][1]
    answer = [header.reply(Status.OK, entries=1).encode(), b"\x91\xc0"]
    for useless in [
        [],
        [b"junk"],
        [header.encode(), b"key"],  # a request
        [header._replace(sequence=header.sequence + 1).reply(Status.OK, entries=1).encode(), b"\x91\xc0"],
        [header._replace(client=5).reply(Status.OK, entries=1).encode(), b"\x91\xc0"],
        [header._replace(op=Op.PUT).reply(Status.OK).encode()],
        [header.reply(Status.OK, entries=1).encode(), b"\x92\xc0\xc0"],  # two values for one key
        [header.reply(Status.OK, entries=2).encode(), b"\x92\xc0\xc0"],
        [header.reply(Status.OK).encode(), b"\x90"],
        [header.reply(Status.BUSY).encode(), b"no document"],
        [Header(Op.ROUTES, status=Status.OK).encode(), b"no document"],
        [header._replace(op=Op.HELLO).reply(Status.OK).encode(), encode(Refusal("hello"))],
    ]:
        driver.receive(useless, "worker:0")
    assert call not in driver.ended
    assert (driver.session.late, driver.session.malformed) == (3, 8)  # the second answer to HELLO is not even read
    driver.receive(answer, "worker:0")
    driver.receive(answer, "worker:0")
    assert driver.ended[call] is None
    assert (driver.session.late, driver.session.malformed) == (4, 8)


def test_a_damaged_page_is_asked_for_again(driver: SessionDriver) -> None:
    call = ScanPage(TIMEOUT_NS, b"", b"", False, False, 10)
    driver.submit(call)
    header = driver.sent[-1][1]
    driver.receive([header.reply(Status.OK, entries=3).encode(), b"\x93", b"", b"", b""], "worker:0")
    driver.wire.clear()
    driver.advance(1_100)
    assert driver.ended[call].keys == []


def test_a_tick_without_reason_changes_nothing(driver: SessionDriver) -> None:
    driver.submit(put(b"key"))
    driver.handle(Tick())
    assert len(driver.sent) == 1


def test_an_early_write_of_many_that_fails_names_what_may_be_applied(driver: SessionDriver) -> None:
    driver.cluster.down.add(1)
    call = put_many([b"\x01", b"\xff"], [b"1", b"2"], timeout_ns=1_000 * MILLISECOND_NS)
    driver.receive(driver.cluster.broadcast())
    driver.call(call)
    driver.advance(1_100)
    assert type(driver.ended[call]) is OutcomeUnknown
    assert driver.cluster.data == {b"\x01": b"1"}


def test_many_of_which_nothing_was_applied(driver: SessionDriver) -> None:
    driver.cluster.script.extend([Refuse(Status.BUSY, 100)] * 1_000)
    call = put_many([b"\x01", b"\xff"], [b"1", b"2"])
    driver.call(call)
    driver.advance(10_100)
    assert type(driver.ended[call]) is Busy


def test_every_call_of_a_refused_request_gets_an_error_of_its_own(driver: SessionDriver) -> None:
    driver.cluster.script.append(Refuse(Status.FAILED))
    calls = [get(b"a"), get(b"b")]
    driver.submit(*calls)
    driver.run()
    assert driver.ended[calls[0]] is not driver.ended[calls[1]]


def test_a_missing_part_of_an_answer_is_asked_for_again(driver: SessionDriver) -> None:
    driver.cluster.data.update({b"\x01": b"1", b"\xff": b"2"})
    driver.cluster.script.extend([None, Lose.REPLY])
    call = get_many([b"\xff", b"\x01"])
    driver.call(call)
    driver.advance(1_100)
    assert driver.ended[call] == [b"2", b"1"]


def test_a_call_that_gave_up_leaves_its_credit_with_the_request_until_that_is_over(driver: SessionDriver) -> None:
    driver.cluster.credits = 1
    driver.call(get(b"\x01"))
    driver.silent |= {"router", "worker:0"}
    given_up, patient = get(b"\x01", 100 * MILLISECOND_NS), get(b"\x02")
    driver.submit(given_up)
    driver.submit(patient)
    driver.run()
    driver.advance(500)
    assert isinstance(driver.ended[given_up], Unavailable)
    assert len(driver.routed()) == 2, "the worker may still be busy with the request that was given up"
    driver.silent.clear()
    driver.advance(700)
    assert patient in driver.ended


@pytest.mark.parametrize("op", ["get", "put"])
def test_a_lone_call_that_was_refused_still_ends_at_its_deadline(driver: SessionDriver, op: str) -> None:
    driver.cluster.script.extend([Refuse(Status.BUSY, 40)] * 100)
    call = get(b"key", 200 * MILLISECOND_NS) if op == "get" else put(b"key", timeout_ns=200 * MILLISECOND_NS)
    driver.call(call)
    driver.advance(198)
    assert call not in driver.ended
    driver.advance(10)
    assert isinstance(driver.ended[call], Busy)
