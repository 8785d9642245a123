"""What a scan costs the other clients of its store."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from benchmarks.child import child_process
from benchmarks.clusters import new_store
from benchmarks.load_process import Load, running
from benchmarks.records import HEX, records_of
from benchmarks.settings import TIMEOUT_SECONDS, Settings
from benchmarks.targets import BUSY_ELSEWHERE, IDLE, Row
from benchmarks.timing import Figures, medians
from benchmarks.topology import tail
from shardstore import Client

CALLS_PER_SECOND = 250
PHASE_SECONDS_MAX = 3.0
PHASE_SECONDS_MIN = 0.2
RECORDS_PER_SECOND = 500_000
"""Sets how long a phase takes: with fewer records it is shorter."""


def get_beside_scan(settings: Settings) -> Iterator[Row]:
    """Single gets at a steady rate while another client scans everything: right after a load, and after `compact`.

    Compared with the same gets on an idle store, and with the gets while one process per core only computes, which
    shows how much of the tail is due to the scheduler.
    """
    records = records_of(HEX, settings.count(HEX))
    seconds = min(PHASE_SECONDS_MAX, max(PHASE_SECONDS_MIN, settings.n / RECORDS_PER_SECOND))
    phases: dict[str, list[Figures]] = {name: [] for name in ("loaded", "compacted", IDLE, BUSY_ELSEWHERE)}
    for run in range(settings.runs):
        settings.say(f"get_beside_scan, run {run + 1} of {settings.runs}")
        with new_store(settings) as store:
            store.load(records)
            load = Load(store.cluster.url, records.keys, value_bytes=0, calls_per_second=CALLS_PER_SECOND)
            with running(load) as gets:
                times = {"loaded": _timed(PHASE_SECONDS_MIN, lambda: _scan(store.db))}
                store.move_to_tables()
                times["compacted"] = _timed(seconds, lambda: _scan(store.db))
                times[IDLE] = _timed(0.0, lambda: time.sleep(seconds))
                times[BUSY_ELSEWHERE] = _timed(0.0, lambda: _compute(seconds))
                calls = gets.stop()
            for name, (started_ns, ended_ns) in times.items():
                phases[name].append(tail(calls.between(started_ns, ended_ns).latency()))
    beside = {name: medians(phases[name]) for name in (IDLE, BUSY_ELSEWHERE)}
    for way in ("loaded", "compacted"):
        yield Row("get_beside_scan", HEX.name, way, medians(phases[way]), beside, {})


def _timed(seconds: float, work: Callable[[], object]) -> tuple[int, int]:
    """Repeat the work for at least `seconds`; returns when it began and ended."""
    started_ns = time.perf_counter_ns()
    while True:
        work()
        ended_ns = time.perf_counter_ns()
        if ended_ns - started_ns >= seconds * 1e9:
            return started_ns, ended_ns


def _scan(db: Client) -> None:
    for _ in db.scan(timeout=TIMEOUT_SECONDS):
        pass


def _compute(seconds: float) -> None:
    """Keep every core busy for `seconds`."""
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            stack.enter_context(child_process(_compute_until_killed))
        time.sleep(seconds)


def _compute_until_killed() -> None:
    while True:
        pass
