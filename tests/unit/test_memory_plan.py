"""The division of a store's memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.limits import GIB, MESSAGE_BYTES_MAX, MIB
from shardstore.memory_plan import LEASE_FLOOR_BYTES, WORKER_MEMORY_MIN, derive


@given(workers=st.integers(1, 256), more=st.integers(0, 64 * GIB))
def test_the_parts_are_no_more_than_the_whole(workers: int, more: int) -> None:
    plan = derive(workers * WORKER_MEMORY_MIN + more, workers)
    per_worker = plan.cache_bytes + plan.window_bytes + plan.view_bytes + plan.reply_bytes + plan.drain_run_bytes
    assert plan.buffer_bytes + workers * per_worker <= plan.memory
    assert workers * plan.lease_floor <= plan.buffer_bytes
    assert plan.lease_floor == LEASE_FLOOR_BYTES <= plan.lease_max
    assert plan.in_flight_bytes > MESSAGE_BYTES_MAX


@pytest.mark.parametrize("workers", [1, 3])
def test_little_memory_is_all_floors(workers: int) -> None:
    plan = derive(workers * WORKER_MEMORY_MIN, workers)
    assert plan.lease_floor == plan.lease_max == 60 * MIB


def test_a_lone_worker_may_have_all() -> None:
    plan = derive(GIB, 1)
    assert plan.lease_max == plan.buffer_bytes == 640 * MIB


def test_the_plan_is_told_in_a_few_lines() -> None:
    lines = list(derive(GIB, 2).lines())
    assert len(lines) == 3
    assert "60 MiB to 580 MiB per worker" in lines[1]
