"""What benchmarks read from a cluster: its processes by kind, its size, and whether it is at rest."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from benchmarks.batches import CALL_ENTRIES, calls
from benchmarks.clusters import BUFFERED_ENTRY_BYTES_MAX, RANGE_BYTES_MAX, is_settled, room_for
from benchmarks.processes import KINDS, cpu_per_million, kind_of
from benchmarks.targets import CALLS_OF_1000, ONE_CALL

from shardstore.limits import GIB


@pytest.mark.parametrize(
    ("name", "kind"),
    [("client", "client"), ("router", "router"), ("worker-12", "worker"), ("worker-0 maintenance", "maintenance")],
)
def test_processes_are_told_apart_by_their_names(name: str, kind: str) -> None:
    assert kind_of(name) == kind
    assert kind in KINDS


def test_cpu_seconds_are_given_for_a_million_keys() -> None:
    before = dict.fromkeys(KINDS, 1.0)
    figures = cpu_per_million(before, before | {"worker": 1.5}, 250_000)
    assert figures["worker_cpu_s_per_million"] == 2.0
    assert figures["client_cpu_s_per_million"] == 0.0


def test_little_data_gets_the_usual_ranges_and_memory() -> None:
    assert room_for(1_000, 10, workers=2, ranges_min=8) == (8, 2 * GIB)


def test_much_data_gets_more_ranges_for_every_worker_alike() -> None:
    entries = 10_000_000
    ranges, memory = room_for(40 * entries, entries, workers=3, ranges_min=4)
    buffered = (40 + BUFFERED_ENTRY_BYTES_MAX) * entries
    assert ranges % 3 == 0
    assert buffered / ranges <= RANGE_BYTES_MAX
    assert memory >= 4 * buffered


@pytest.mark.parametrize(("runs", "running", "settled"), [(0, 0, True), (1, 0, False), (0, 1, False)])
def test_a_cluster_is_settled_when_nothing_waits_and_nothing_runs(runs: int, running: int, settled: bool) -> None:
    stats: dict[Any, Any] = {"router": {}}
    for worker, (waiting, jobs) in enumerate([(0, 0), (runs, running)]):
        stats[worker] = {"ranges": [{"runs": waiting}], "jobs": {"running": jobs}}
    assert is_settled(stats) is settled


@pytest.mark.parametrize("entries", [1, 999, 1_000, 2_500])
def test_the_calls_of_each_way_cover_every_entry_once(entries: int) -> None:
    items = list(range(entries))
    for way, longest in ((ONE_CALL, entries), (CALLS_OF_1000, CALL_ENTRIES)):
        parts = [items[part] for part in calls(entries, way)]
        assert list(chain.from_iterable(parts)) == items
        assert max(map(len, parts)) <= longest
