"""A put load over time: throughput, latency, and when workers were draining.

Batches of 1000 are written one after the other into a store with little memory, so that it drains often. Another
client polls the statistics of every worker: as long as a run waits, the worker is draining.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from benchmarks.clusters import Store, new_store
from benchmarks.records import HEX, records_of
from benchmarks.settings import TIMEOUT_SECONDS, Settings
from benchmarks.timing import percentile
from shardstore import connect
from shardstore.limits import MIB

CALL_ENTRIES = 1_000
ROUNDS_MAX = 10
SECONDS_MAX = 15.0
MEMORY_PER_WORKER = 128 * MIB
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Call:
    """One batch: when it was acknowledged, in seconds since the first batch began, and how long it took."""

    at_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Drain:
    """A period in which a worker had runs to drain."""

    worker: int
    begin_seconds: float
    end_seconds: float

    @property
    def seconds(self) -> float:
        """The duration of the period."""
        return self.end_seconds - self.begin_seconds


@dataclass(frozen=True, slots=True)
class Timeline:
    """All calls in order, and all drains."""

    calls: list[Call]
    drains: list[Drain]


@dataclass(frozen=True, slots=True)
class Bin:
    """The figures of one interval around `middle_seconds`. The p99 is None if no call ended in it."""

    middle_seconds: float
    keys_per_second: float
    p99_ms: float | None


def bins(calls: list[Call], count: int) -> list[Bin]:
    """The figures of the calls in `count` intervals of equal length."""
    width = calls[-1].at_seconds / count
    taken: list[list[float]] = [[] for _ in range(count)]
    for call in calls:
        taken[min(count - 1, int(call.at_seconds / width))].append(call.seconds)
    return [
        Bin((at + 0.5) * width, len(ended) * CALL_ENTRIES / width, percentile(ended, 99) * 1_000 if ended else None)
        for at, ended in enumerate(taken)
    ]


def measure_timeline(settings: Settings) -> Timeline:
    """Write all records up to ROUNDS_MAX times or for SECONDS_MAX, then wait for the last drain."""
    records = records_of(HEX, settings.count(HEX))
    settings.say("throughput and latency over time")
    with new_store(settings, "async", memory=MEMORY_PER_WORKER * settings.workers) as store:
        started = time.perf_counter()
        with _drains_watched(store, started) as drains:
            calls = list(_calls(store, list(zip(records.keys, records.values, strict=True)), started))
            store.settle()
    return Timeline(calls, drains.closed)


def _calls(store: Store, pairs: list[tuple[bytes, bytes]], started: float) -> Iterator[Call]:
    for at in list(range(0, len(pairs), CALL_ENTRIES)) * ROUNDS_MAX:
        began = time.perf_counter()
        store.db.put_many(pairs[at : at + CALL_ENTRIES], timeout=TIMEOUT_SECONDS)
        ended = time.perf_counter()
        yield Call(ended - started, ended - began)
        if ended - started > SECONDS_MAX:
            return


@dataclass(slots=True)
class DrainLog:
    """Turns polled statistics of the workers into drains."""

    closed: list[Drain] = field(default_factory=list)
    _open: dict[int, float] = field(default_factory=dict)

    def note(self, now_seconds: float, stats: Mapping[Any, Any]) -> None:
        """Take a result of `Client.stats`."""
        for worker, figures in stats.items():
            if worker == "router":
                continue
            if any(owned["runs"] for owned in figures["ranges"]):
                self._open.setdefault(worker, now_seconds)
            elif worker in self._open:
                self.closed.append(Drain(worker, self._open.pop(worker), now_seconds))


@contextmanager
def _drains_watched(store: Store, started: float) -> Iterator[DrainLog]:
    """Poll statistics in a thread with its own client until the end of the block, and once more after it."""
    log = DrainLog()
    stopped = Event()

    def watch() -> None:
        with connect(store.cluster.url) as db:
            over = False
            while not over:
                over = stopped.wait(POLL_SECONDS)
                log.note(time.perf_counter() - started, db.stats(timeout=TIMEOUT_SECONDS))

    thread = Thread(target=watch, name="drains")
    thread.start()
    try:
        yield log
    finally:
        stopped.set()
        thread.join()
