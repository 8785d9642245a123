"""Admission and drain policy: from plain values to a decision."""

from __future__ import annotations

import pytest

from shardstore.errors import Busy, InvalidRequest
from shardstore.limits import GIB, RUN_QUEUE_MAX, WAL_RETAINED_BYTES_MAX
from shardstore.memory_plan import derive
from shardstore.workers.maintenance.policies.drain_policy import (
    LONG_REST_NS,
    REST_BYTES,
    REST_NS,
    MemoryLayerSizes,
    layers_at_rest,
    layers_to_seal,
)
from shardstore.workers.serving.admission import MemoryLimits, Usage, admit

LIMITS = MemoryLimits(worker_bytes=1000, range_bytes=500, seal_bytes=100, request_bytes=400)


@pytest.mark.fault("L14")
@pytest.mark.parametrize(
    ("usage", "cause"),
    [
        ((991, 0, 0, 0), "buffers of the worker"),
        ((0, 491, 0, 0), "buffers of the range"),
        ((0, 0, RUN_QUEUE_MAX + 1, 0), "sealed runs"),
        ((0, 0, 0, WAL_RETAINED_BYTES_MAX - 9), "write-ahead log"),
    ],
)
def test_each_bound_refuses_by_its_name_and_says_nothing_was_applied(usage: Usage, cause: str) -> None:
    with pytest.raises(Busy, match=cause) as refused:
        admit(10, usage, LIMITS)
    assert refused.value.used > refused.value.limit
    assert refused.value.retry_after_ns > 0
    assert not refused.value.applied


def test_what_fits_every_bound_exactly_is_admitted() -> None:
    admit(10, (990, 490, RUN_QUEUE_MAX, WAL_RETAINED_BYTES_MAX - 10), LIMITS)


@pytest.mark.fault("B6")
def test_a_request_that_could_never_be_let_in_is_no_matter_of_waiting() -> None:
    with pytest.raises(InvalidRequest, match="takes 401 bytes"):
        admit(401, (0, 0, 0, 0), LIMITS)
    with pytest.raises(Busy):
        admit(400, (0, 101, 0, 0), LIMITS)


def test_limits_follow_the_lease() -> None:
    plan = derive(GIB, 2)
    small, large = MemoryLimits.of_lease(plan.lease_floor, plan), MemoryLimits.of_lease(plan.lease_max, plan)
    assert small.seal_bytes < small.range_bytes < small.worker_bytes == plan.lease_floor
    assert small.seal_bytes < large.seal_bytes == plan.seal_bytes
    assert large.range_bytes == large.request_bytes == small.request_bytes


def test_pressure_is_a_byte() -> None:
    assert [LIMITS.pressure(used) for used in (0, 500, 1000, 5000)] == [0, 127, 255, 255]


def test_full_layers_are_sealed_each() -> None:
    layers = [MemoryLayerSizes(1, 100, 0, 1), MemoryLayerSizes(2, 99, 0, 2), MemoryLayerSizes(3, 150, 0, 3)]
    assert layers_to_seal(layers, 349, 0, LIMITS) == [1, 3]


@pytest.mark.fault("B3")
def test_half_full_buffers_seal_the_largest_layer_unless_enough_drains_already() -> None:
    layers = [MemoryLayerSizes(segment, 60 + segment, 0, segment) for segment in range(1, 10)]
    assert layers_to_seal(layers, 585, 0, LIMITS) == [9]
    draining = [*layers, MemoryLayerSizes(10, 0, 200, 0)]
    assert layers_to_seal(draining, 585, 0, LIMITS) == []


@pytest.mark.fault("L14")
def test_half_full_log_seals_the_layer_that_holds_it_back() -> None:
    layers = [MemoryLayerSizes(1, 50, 0, 9), MemoryLayerSizes(2, 10, 0, 4), MemoryLayerSizes(3, 0, 0, 0)]
    assert layers_to_seal(layers, 60, WAL_RETAINED_BYTES_MAX // 2 + 1, LIMITS) == [2]
    assert layers_to_seal([MemoryLayerSizes(3, 0, 0, 0)], 0, WAL_RETAINED_BYTES_MAX, LIMITS) == []


def test_a_layer_is_sealed_when_its_range_rests_and_a_small_one_after_a_long_rest() -> None:
    layers = [
        MemoryLayerSizes(1, REST_BYTES, 0, lsn_first=9, rested_ns=REST_NS),
        MemoryLayerSizes(2, REST_BYTES, 0, lsn_first=4, rested_ns=REST_NS - 1),
        MemoryLayerSizes(3, REST_BYTES - 1, 0, lsn_first=5, rested_ns=LONG_REST_NS - 1),
        MemoryLayerSizes(4, 1, 0, lsn_first=6, rested_ns=LONG_REST_NS),
        MemoryLayerSizes(5, 0, REST_BYTES, lsn_first=0, rested_ns=LONG_REST_NS),
    ]
    assert layers_at_rest(layers) == [1, 4]
