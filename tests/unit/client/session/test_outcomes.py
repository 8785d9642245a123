"""Conditional operations in a session, and the outcomes of writes whose replies never come."""

from __future__ import annotations

from typing import Any

import pytest

from shardstore.client.calls import operations
from shardstore.client.calls.calls import Call
from shardstore.client.calls.outcome_token import UNKNOWABLE, OutcomeToken, PartInDoubt, from_bytes
from shardstore.client.session.endings import error_of_all
from shardstore.errors import Busy, InvalidRequest, OutcomeUnknown, StorageFailure, Unavailable
from shardstore.limits import MILLISECOND_NS
from shardstore.outcome import Ending, Outcome
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Flag, Op, Status
from tests.unit.client.session_driver import SessionDriver, get, put, put_many
from tests.unit.fake_cluster import FakeCluster, Lose, Refuse

APPLIED, NOT_APPLIED, UNKNOWN = Ending.APPLIED, Ending.NOT_APPLIED, Ending.UNKNOWN
SECOND = 1_000 * MILLISECOND_NS


def increment(key: bytes = b"n", by: int = 1) -> Call:
    return operations.increment(key, by, 10)


def compare_and_set(key: bytes, expected: bytes | None, value: bytes | None) -> Call:
    return operations.compare_and_set(key, expected, value, 10)


def unknown(driver: SessionDriver, call: Call) -> OutcomeUnknown:
    """The error of a call after its deadline."""
    driver.advance(10_010)
    error = driver.ended[call]
    assert type(error) is OutcomeUnknown
    return error


def outcome(driver: SessionDriver, token: bytes) -> Outcome:
    asked = from_bytes(token)
    return asked.outcome([driver.call(call) for call in operations.outcome(asked, 10)])


def routed(driver: SessionDriver, op: Op) -> list[Any]:
    return [header for _, header in driver.sent if header.op == op]


# ---------------------------------------------------------------- conditional operations


def test_what_conditional_operations_settle_with(driver: SessionDriver) -> None:
    assert [driver.call(increment(by=by)) for by in (5, -7)] == [5, -2]
    assert driver.call(compare_and_set(b"a", None, b"1")) is True
    assert driver.call(compare_and_set(b"a", None, b"2")) is False
    assert driver.call(compare_and_set(b"a", b"1", None)) is True
    assert driver.cluster.data == {b"n": b"-2"}


def test_each_travels_alone_and_one_at_a_time(driver: SessionDriver) -> None:
    calls = [increment(), increment(), put(b"a"), put(b"b"), compare_and_set(b"a", None, b"1")]
    driver.submit(*calls)
    assert len(driver.wire) == 1
    driver.run()
    assert [driver.ended[call] for call in calls] == [1, 2, None, None, False]
    assert [(header.op, header.entries) for _, header in driver.sent] == [
        (Op.INCREMENT, 1),
        (Op.INCREMENT, 1),
        (Op.PUT, 2),
        (Op.COMPARE_AND_SET, 1),
    ]


@pytest.mark.parametrize("direct", [True, False])
def test_a_retry_is_told_what_the_first_one_was(direct: bool) -> None:
    driver = SessionDriver(FakeCluster(), direct)
    driver.cluster.script.append(Lose.REPLY)
    call = increment()
    driver.call(call)
    driver.advance(3_000)
    assert driver.ended[call] == 1
    first, second = routed(driver, Op.INCREMENT)
    assert first.sequence == second.sequence
    assert second.flags & Flag.RETRY


def test_a_new_ownership_gets_the_operation_again(driver: SessionDriver) -> None:
    driver.cluster.new_epochs(0)
    assert driver.call(increment()) == 1


def test_what_is_no_counter_is_an_invalid_request(driver: SessionDriver) -> None:
    driver.cluster.script.append(Refuse(Status.INVALID, 0, Refusal("no decimal number")))
    assert isinstance(driver.call(increment()), InvalidRequest)


@pytest.mark.parametrize(
    "make",
    [
        lambda: operations.increment(b"n", 2**63, None),
        lambda: operations.increment(b"n", 1.0, None),
        lambda: operations.increment(b"", 1, None),
        lambda: operations.put_if_absent(b"a", None, None),
        lambda: operations.compare_and_set(b"a", "1", b"2", None),
        lambda: operations.compare_and_set(b"a", b"1" * (8 << 20), b"2" * (8 << 20), None),
    ],
)
def test_arguments_are_checked(make: Any) -> None:
    with pytest.raises(InvalidRequest):
        make()


# ---------------------------------------------------------------- outcomes


@pytest.mark.parametrize(("lost", "ending"), [(Lose.REPLY, APPLIED), (Lose.REQUEST, NOT_APPLIED)])
@pytest.mark.parametrize("make", [increment, lambda: put(b"n")])
def test_the_outcome_of_one_key(driver: SessionDriver, lost: Lose, ending: Ending, make: Any) -> None:
    driver.cluster.script.extend([lost, *[Lose.REQUEST] * 20])
    call = make()
    driver.submit(call)
    error = unknown(driver, call)
    driver.cluster.script.clear()
    for asker in (driver, SessionDriver(driver.cluster)):
        assert outcome(asker, error.token) == Outcome(ending, ((b"n", ending),))
    assert (b"n" in driver.cluster.data) is (ending is APPLIED)


def test_what_was_not_applied_is_refused_when_it_comes_late(driver: SessionDriver) -> None:
    """Two puts are sent together. One is given up and reported as not applied, so neither may be applied."""
    hasty, patient = put(b"n", b"1", 2 * SECOND), put(b"o", b"2")
    driver.cluster.script.extend([Lose.REQUEST] * 3)
    driver.submit(hasty, patient)
    driver.run()
    driver.advance(2_010)
    token = driver.ended[hasty].token
    driver.cluster.script.clear()
    assert outcome(SessionDriver(driver.cluster), token).state is NOT_APPLIED
    driver.advance(8_010)
    assert outcome(driver, driver.ended[patient].token).state is NOT_APPLIED
    assert driver.cluster.data == {}


@pytest.mark.fault("C3")
def test_a_write_that_is_too_old_has_a_token(driver: SessionDriver) -> None:
    driver.cluster.script.append(Refuse(Status.TOO_OLD))
    error = driver.call(put(b"n"))
    assert [(part.client, part.key) for part in from_bytes(error.token).parts] == [(1_001, b"n")]


def test_the_parts_of_a_batch_may_end_differently(driver: SessionDriver) -> None:
    """Four ranges: one replies, one applies without a reply, one gets no request, and the worker of one is down."""
    keys = [b"\x01", b"\x41", b"\x81", b"\xc1"]
    driver.cluster.script.extend([None, Lose.REPLY, Lose.REQUEST, *[Lose.REQUEST] * 100])
    call = put_many(keys, keys)
    driver.submit(call)
    error = unknown(driver, call)
    token = from_bytes(error.token)
    assert (token.applied, token.not_applied) == (1, 0)
    driver.cluster.script.clear()
    found = outcome(driver, error.token)
    applied = [key for key in keys if key in driver.cluster.data]
    assert found.state is Ending.PARTLY
    assert len(applied) == 2
    assert dict(found.parts) == {
        key: APPLIED if key in applied else NOT_APPLIED for key in keys if key in dict(found.parts)
    }
    assert len(found.parts) == 3


def test_parts_that_never_left_are_not_applied(driver: SessionDriver) -> None:
    """A write is under way to the first range, so the batch's part for it waits, and is dropped at the deadline."""
    driver.silent |= {"router", "worker:0"}
    driver.submit(put(b"\x01"))
    call = put_many([b"\x01", b"\xc1"], [b"1", b"2"], timeout_ns=SECOND)
    driver.call(call)
    driver.advance(1_010)
    driver.silent.clear()
    error = driver.ended[call]
    assert from_bytes(error.token) == OutcomeToken([], 1, 1)
    assert outcome(driver, error.token) == Outcome(Ending.PARTLY, ())
    driver.advance(9_000)
    assert driver.call(get(b"\xc1")) == b"2"


@pytest.mark.parametrize(
    ("endings", "applied", "not_applied", "state"),
    [
        ([APPLIED], 0, 0, APPLIED),
        ([APPLIED, APPLIED], 3, 0, APPLIED),
        ([NOT_APPLIED], 0, 2, NOT_APPLIED),
        ([APPLIED, NOT_APPLIED], 0, 0, Ending.PARTLY),
        ([APPLIED], 0, 1, Ending.PARTLY),
        ([NOT_APPLIED], 1, 0, Ending.PARTLY),
        ([APPLIED, UNKNOWN], 1, 1, UNKNOWN),
    ],
)
def test_the_whole_of_its_parts(endings: list[Ending], applied: int, not_applied: int, state: Ending) -> None:
    parts = [PartInDoubt(1, at + 1, b"%d" % at) for at in range(len(endings))]
    found = OutcomeToken(parts, applied, not_applied).outcome(endings)
    assert found == Outcome(state, tuple((b"%d" % at, ending) for at, ending in enumerate(endings)))


def test_nobody_can_tell_of_a_write_without_parts() -> None:
    assert from_bytes(UNKNOWABLE.encode()).outcome([]) == Outcome(Ending.UNKNOWN, ())


@pytest.mark.parametrize(
    "token",
    [
        None,
        b"",
        b"\x01",
        b"\x02\x80",
        OutcomeToken([PartInDoubt(0, 1, b"a")], 0, 0).encode(),
        OutcomeToken([PartInDoubt(1, 1, b"")], 0, 0).encode(),
        OutcomeToken([PartInDoubt(1, 1, b"a", [b"b"])], 0, 0).encode(),
        OutcomeToken([PartInDoubt(1, 1, b"a", [b"c", b"b"])], 0, 0).encode(),
        OutcomeToken([PartInDoubt(1, 1, b"a", [b"b", b"c"] * 3)], 0, 0).encode(),
        b"\x02" + bytes(9),
    ],
)
def test_what_is_no_token(token: Any) -> None:
    with pytest.raises(InvalidRequest):
        from_bytes(token)


# ---------------------------------------------------------------- several calls, one write


def doubt(sequence: int) -> OutcomeUnknown:
    return OutcomeUnknown("lost", OutcomeToken([PartInDoubt(1, sequence, b"k")], 1, 0).encode())


def test_the_error_of_several_calls_tells_of_all() -> None:
    failure = error_of_all([Busy("memory", 2, 1, 3), doubt(5), None, doubt(6), Unavailable("down")], applied=4)
    assert isinstance(failure, OutcomeUnknown)
    assert isinstance(failure.__cause__, Busy)
    assert from_bytes(failure.token) == OutcomeToken([PartInDoubt(1, 5, b"k"), PartInDoubt(1, 6, b"k")], 7, 2)


def test_several_calls_of_which_none_was_applied_are_in_no_doubt() -> None:
    busy = Busy("memory", 2, 1, 3)
    assert error_of_all([busy, Unavailable("down")], applied=0) is busy


def test_a_worse_error_among_several_calls_goes_first() -> None:
    failure = StorageFailure("read-only")
    assert error_of_all([Busy("memory", 2, 1, 3), failure], applied=1) is failure
