"""The lease of a worker: what it requests, takes and gives back."""

from __future__ import annotations

from shardstore.memory_plan import derive
from shardstore.wire.messages import Lease
from shardstore.workers.serving.buffer_lease import BufferLease

PLAN = derive(16_000, 3, lease_floor=1_000)
"""10,000 bytes to lease, at most 8,000 to one worker."""


def test_more_is_asked_for_long_before_it_is_needed() -> None:
    lease = BufferLease(PLAN, 0)
    assert lease.asks_above >= 0
    assert lease.asks_above < 1
    report = lease.report(100, 0, 0)
    assert (report.lease, report.used, report.wanted) == (1_000, 100, 1_800)
    lease.take(Lease(1_800, 0), 100)
    assert lease.bytes == 1_800
    assert lease.asks_above >= 200
    assert lease.asks_above < 201


def test_no_more_is_asked_for_than_there_can_be() -> None:
    lease = BufferLease(PLAN, 0)
    assert lease.report(5_000, 0, 0).wanted == PLAN.lease_max == 8_000
    lease.take(Lease(8_000, 0), 5_000)
    assert lease.asks_above >= 8_000


def test_what_was_refused_is_asked_for_with_the_next_report_only() -> None:
    lease = BufferLease(PLAN, 0)
    lease.report(900, 0, 0)
    lease.take(Lease(1_000, 0), 900)
    assert lease.is_short
    assert lease.asks_above >= 1_000
    lease.report(900, 0, 0)
    lease.take(Lease(8_000, 0), 900)
    assert not lease.is_short


def test_what_was_refused_counts_as_wanted() -> None:
    lease = BufferLease(PLAN, 0)
    assert lease.asks_above < 600
    assert lease.report(0, 600, 0).wanted == 1_000 + 8 * 600


def test_an_idle_lease_comes_back_in_time() -> None:
    lease = BufferLease(PLAN, 0)
    lease.report(900, 0, 0)
    lease.take(Lease(8_000, 0), 900)
    held = []
    for _ in range(30):
        lease.pass_time()
        held.append(lease.report(0, 0, 0).lease)
    assert held == sorted(held, reverse=True)
    assert held[0] > 6_000
    assert held[-1] < 1_200


def test_a_smaller_lease_is_reached_as_drains_allow() -> None:
    lease = BufferLease(PLAN, 0)
    lease.report(4_000, 0, 0)
    lease.take(Lease(8_000, 0), 4_000)
    lease.report(4_000, 0, 0)
    lease.take(Lease(2_000, 0), 4_000)
    assert lease.bytes == 4_500, "a little room is left"
    lease.report(1_000, 0, 0)
    lease.take(Lease(2_000, 0), 1_000)
    assert lease.bytes == 2_000


def test_what_was_replayed_is_leased() -> None:
    assert BufferLease(PLAN, 3_000).bytes == 3_000
    assert BufferLease(PLAN, 30).bytes == 1_000
