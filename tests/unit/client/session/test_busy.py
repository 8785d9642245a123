"""Writers slow down before anything is refused; a refused write waits or fails, as the caller chose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.client.calls import operations
from shardstore.client.calls.calls import Many, Single
from shardstore.client.session import writer_pace
from shardstore.client.session.writer_pace import writer_pause_ns
from shardstore.errors import Busy, InvalidRequest, OutcomeUnknown, Place, Unavailable
from shardstore.limits import MIB, MILLISECOND_NS, SECOND_NS
from shardstore.wire.messages import Refusal
from shardstore.wire.wire_format import Status
from tests.unit.client.session_driver import TIMEOUT_NS, SessionDriver, get, new_scan, put, put_many
from tests.unit.fake_cluster import Lose, Refuse

FULL = Refuse(Status.BUSY, 50, Refusal("buffers of the worker are full", 11, 10))


def impatient(key: bytes) -> Single:
    return operations.put(key, b"value", TIMEOUT_NS / SECOND_NS, "fail")


# Pacing


@given(st.integers(0, 254), st.integers(0, 16 * MIB), st.integers(1, 65_536))
def test_pauses_grow_with_pressure_and_size_and_are_bounded(pressure: int, size: int, entries: int) -> None:
    pause = writer_pause_ns(pressure, size, entries)
    assert pause <= writer_pause_ns(pressure + 1, size, entries) <= writer_pace.PAUSE_NS_MAX
    assert pause <= writer_pause_ns(pressure, size + 1, entries)
    assert pause == 0 or pressure > writer_pace.PRESSURE_FREE


def test_a_pause_begins_small() -> None:
    first, last = (writer_pause_ns(pressure, 100_000, 1) for pressure in (writer_pace.PRESSURE_FREE + 1, 255))
    assert 0 < first < last / 10_000


def test_under_pressure_the_next_write_waits_and_a_read_does_not(driver: SessionDriver) -> None:
    driver.cluster.pressure = 255
    driver.call(put(b"k", bytes(100_000)))
    second, third, read = put(b"k"), put(b"k2"), get(b"k")
    driver.submit(second, third, read)
    driver.run()
    assert read in driver.ended
    assert second not in driver.ended
    driver.advance(writer_pause_ns(255, 100_000, 1) // MILLISECOND_NS + 5)
    assert {second, third} <= driver.ended.keys()
    assert len(driver.cluster.log) == 2, "what waited went together"


def test_writes_to_other_ranges_do_not_wait(driver: SessionDriver) -> None:
    driver.cluster.pressure = 255
    driver.call(put(b"k", bytes(100_000)))
    other = put(b"\xff")
    assert driver.call(other) is None
    assert other in driver.ended


def test_short_pauses_add_up(driver: SessionDriver) -> None:
    driver.cluster.pressure = 255
    paused = 0
    for at in range(100):
        call = put(b"k")
        driver.call(call)
        if call not in driver.ended:
            paused += 1
            driver.advance(5)
        assert call in driver.ended, at
    owed_ns = 100 * writer_pause_ns(255, 6, 1)
    assert paused == pytest.approx(owed_ns / (2 * MILLISECOND_NS), rel=0.3)


def test_without_pressure_nobody_waits(driver: SessionDriver) -> None:
    driver.cluster.pressure = writer_pace.PRESSURE_FREE
    for _ in range(10):
        call = put(b"k", bytes(100_000))
        driver.call(call)
        assert call in driver.ended


def test_a_write_that_only_waited_says_why(driver: SessionDriver) -> None:
    driver.cluster.pressure = 255
    driver.call(put(b"k", bytes(4 * MIB)))
    late = put(b"k", timeout_ns=100 * MILLISECOND_NS)
    driver.submit(late)
    driver.advance(200)
    error = driver.ended[late]
    assert isinstance(error, Busy)
    assert (error.used, error.limit) == (255, 255)
    assert error.place is not None
    assert error.place.worker == 0


# Busy


def test_busy_names_range_worker_cause_and_bounds(driver: SessionDriver) -> None:
    driver.cluster.script.append(FULL)
    error = driver.call(impatient(b"\x50"))
    assert isinstance(error, Busy)
    assert error.place == Place(2, b"\x40", b"\x80", 0)
    assert (error.cause, error.used, error.limit) == ("buffers of the worker are full", 11, 10)
    assert error.retry_after_ns == 50 * MILLISECOND_NS
    assert not error.applied
    assert str(error).endswith("(segment 2 at worker 0, keys from b'@' on before b'\\x80')")


def test_who_waits_is_sent_again_after_the_time_that_was_told(driver: SessionDriver) -> None:
    driver.cluster.script.append(FULL)
    call = put(b"k")
    driver.call(call)
    driver.advance(45)
    assert len(driver.cluster.requests) == 1
    driver.advance(10)
    assert driver.ended[call] is None
    assert len(driver.cluster.requests) == 2


def test_a_call_that_meets_silence_does_not_end_with_the_refusal_of_an_earlier_one(driver: SessionDriver) -> None:
    driver.cluster.script.append(FULL)
    assert isinstance(driver.call(impatient(b"k")), Busy)
    driver.cluster.script.extend([Lose.REQUEST] * 100)
    read = get(b"k")
    driver.submit(read)
    driver.advance(TIMEOUT_NS // MILLISECOND_NS + 1_000)
    assert isinstance(driver.ended[read], Unavailable)


def test_who_fails_does_so_at_once_and_leaves_the_others_waiting(driver: SessionDriver) -> None:
    driver.cluster.script.extend([None, FULL])
    first, waits, fails = put(b"k"), put(b"k", b"waited"), impatient(b"k")
    driver.submit(first)
    driver.submit(waits)
    driver.submit(fails)
    driver.run()
    assert isinstance(driver.ended[fails], Busy)
    assert waits not in driver.ended
    driver.advance(100)
    assert driver.ended[waits] is None
    assert driver.cluster.data == {b"k": b"waited"}


def test_who_fails_does_not_stand_behind_who_waits(driver: SessionDriver) -> None:
    driver.cluster.script.append(FULL)
    waits, fails, batch = put(b"k"), impatient(b"k"), put_many([b"k", b"\xff"], [b"1", b"2"])
    batch.fails_when_busy = True
    driver.call(waits)
    assert isinstance(driver.call(fails), Busy)
    assert isinstance(driver.call(batch), Busy)
    assert b"\xff" not in driver.cluster.data
    assert len(driver.cluster.requests) == 1
    driver.advance(100)
    assert driver.ended[waits] is None


def test_who_fails_waits_for_no_pause(driver: SessionDriver) -> None:
    driver.cluster.pressure = 255
    driver.call(put(b"k", bytes(100_000)))
    call = impatient(b"k")
    assert driver.call(call) is None
    assert call in driver.ended


def test_a_part_that_was_applied_is_not_denied(driver: SessionDriver) -> None:
    driver.cluster.script.extend([None, FULL])
    batch = put_many([b"\x01", b"\xff"], [b"1", b"2"])
    batch.fails_when_busy = True
    error = driver.call(batch)
    assert isinstance(error, OutcomeUnknown)
    assert isinstance(error.__cause__, Busy)


def test_a_lost_answer_before_the_refusal_is_not_forgotten(driver: SessionDriver) -> None:
    driver.cluster.script.extend([Lose.REPLY, FULL])
    call = impatient(b"k")
    driver.submit(call)
    driver.run()
    driver.advance(1_500)
    assert isinstance(driver.ended[call], OutcomeUnknown)


@pytest.mark.fault("B6")
def test_a_batch_that_could_never_be_let_in_fails_at_once(driver: SessionDriver) -> None:
    driver.cluster.script.append(Refuse(Status.INVALID, 0, Refusal("too large for any lease")))
    assert isinstance(driver.call(put(b"k")), InvalidRequest)


@pytest.mark.parametrize(
    "make",
    [
        lambda on_busy: operations.put(b"k", b"v", None, on_busy),
        lambda on_busy: operations.delete(b"k", None, on_busy),
        lambda on_busy: operations.put_many({b"k": b"v"}, None, on_busy),
        lambda on_busy: operations.delete_many([b"k"], None, on_busy),
    ],
)
def test_every_write_takes_the_choice_and_checks_it(make: object) -> None:
    assert callable(make)
    with pytest.raises(InvalidRequest, match="on_busy is 'wait' or 'fail', not 'shed'"):
        make("shed")
    made = make("fail")
    for call in [made] if isinstance(made, Single) else made:
        assert isinstance(call, Single | Many)
        assert call.fails_when_busy


def test_a_refusal_that_waiting_does_not_help_is_told_at_once(driver: SessionDriver) -> None:
    driver.cluster.script.append(Refuse(Status.BUSY, 0, Refusal("too many open scans", 3, 3)))
    call = new_scan().next_call()
    driver.call(call)
    driver.advance(1)
    error = driver.ended[call]
    assert isinstance(error, Busy)
    assert (error.cause, error.retry_after_ns) == ("too many open scans", 0)
    assert "retry" not in str(error)
    assert len(driver.routed()) == 1
