"""A load over time: calls in intervals, drains from polled statistics, and the plot of both."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.plot import panels_of
from benchmarks.targets import CALLS_OF_1000, ONE_CALL, Row
from benchmarks.timeline import Call, Drain, DrainLog, bins


def stats(*runs: int) -> dict[Any, Any]:
    return {"router": {}} | {worker: {"ranges": [{"runs": 0}, {"runs": count}]} for worker, count in enumerate(runs)}


def test_calls_are_counted_in_the_stretch_in_which_they_ended() -> None:
    found = bins([Call(0.5, 0.1), Call(0.6, 0.3), Call(2.0, 0.2)], count=2)
    assert [point.middle_seconds for point in found] == [0.5, 1.5]
    assert [point.keys_per_second for point in found] == [2_000, 1_000]
    assert [point.p99_ms for point in found] == pytest.approx([300, 200])


def test_a_stretch_without_calls_is_no_throughput_and_no_latency() -> None:
    found = bins([Call(0.5, 0.1), Call(4.0, 3.5)], count=4)
    assert [point.keys_per_second for point in found] == [1_000, 0, 0, 1_000]
    assert [point.p99_ms for point in found][1:3] == [None, None]


def test_drains_are_told_apart_by_worker() -> None:
    log = DrainLog()
    for second, runs in enumerate([(0, 0), (1, 0), (2, 1), (0, 1), (0, 0), (1, 0), (0, 0)]):
        log.note(second, stats(*runs))
    assert log.closed == [Drain(0, 1, 3), Drain(1, 2, 4), Drain(0, 5, 6)]
    assert [drain.seconds for drain in log.closed] == [2, 2, 1]


def test_a_panel_has_our_ways_and_then_the_peers_from_the_best_on() -> None:
    peers = {"b": {"per_second": 1e6}, "a": {"per_second": 2e6}}
    rows = [
        Row("put_many", "hex", ONE_CALL, {"per_second": 4e6}, {}, peers),
        Row("put_many", "hex", CALLS_OF_1000, {"per_second": 3e6}, {}, peers),
        Row("memory", "hex", "active layers", {"bytes_per_entry": 100.0}, {}, {}),
        Row("get", "hex", "direct path", {"p50_us": 40.0, "per_second": 1.0}, {}, {"a": {"p50_us": 9.0}}),
    ]
    batches, singles = panels_of(rows)
    assert batches.ours == [(ONE_CALL, 4.0), (CALLS_OF_1000, 3.0)]
    assert batches.peers == [("a", 2.0), ("b", 1.0)]
    assert (singles.title, singles.peers) == ("get, hex", [("a", 9.0)])
