"""A refusal says when to retry, from the measured rate at which drains free memory."""

from __future__ import annotations

from shardstore.limits import MIB, MILLISECOND_NS, SECOND_NS
from shardstore.workers.serving.drain_rate import RETRY_NS_MAX, RETRY_NS_MIN, RETRY_UNMEASURED_NS, DrainRate

START_NS = 100 * SECOND_NS


def measured() -> DrainRate:
    """A rate measured from a drain that freed 10 MiB in a second."""
    rate = DrainRate()
    rate.begun(10 * MIB, START_NS - SECOND_NS)
    rate.ended(10 * MIB, START_NS)
    return rate


def test_before_the_first_drain_there_is_a_fixed_time() -> None:
    assert DrainRate().retry_after_ns(MIB, START_NS) == RETRY_UNMEASURED_NS


def test_those_who_are_refused_together_come_back_one_after_the_other() -> None:
    rate = measured()
    times = [rate.retry_after_ns(MIB, START_NS) for _ in range(3)]
    assert times == [SECOND_NS // 10, SECOND_NS * 2 // 10, SECOND_NS * 3 // 10]


def test_nobody_is_told_to_come_back_before_the_running_drain_should_end() -> None:
    rate = measured()
    rate.begun(5 * MIB, START_NS)
    assert rate.retry_after_ns(MIB, START_NS + SECOND_NS // 4) == SECOND_NS // 4 + SECOND_NS // 10


def test_times_are_bounded() -> None:
    rate = measured()
    assert rate.retry_after_ns(1, START_NS) == RETRY_NS_MIN
    assert rate.retry_after_ns(1_000 * MIB, START_NS) == RETRY_NS_MAX
    assert rate.retry_after_ns(1, START_NS + 10 * SECOND_NS) == RETRY_NS_MIN, "the promised time is long past"


def test_the_rate_counts_the_work_between_drains_and_no_idleness() -> None:
    rate = measured()
    rate.begun(10 * MIB, START_NS + SECOND_NS)
    rate.ended(10 * MIB, START_NS + 2 * SECOND_NS)
    assert rate.bytes_per_second == (3 * 10 * MIB + 5 * MIB) // 4
    rate.idle()
    rate.begun(10 * MIB, START_NS + 90 * SECOND_NS)
    rate.ended(10 * MIB, START_NS + 90 * SECOND_NS + 100 * MILLISECOND_NS)
    assert rate.bytes_per_second > 30 * MIB


def test_a_failed_drain_promises_nothing() -> None:
    rate = measured()
    rate.begun(100 * MIB, START_NS)
    rate.failed()
    assert rate.retry_after_ns(MIB, START_NS) == SECOND_NS // 10
