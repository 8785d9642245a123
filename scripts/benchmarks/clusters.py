"""A new cluster for a workload, and the states in which a workload wants it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.processes import cpu_per_million, cpu_seconds
from benchmarks.records import Records
from benchmarks.settings import TIMEOUT_SECONDS, Settings
from benchmarks.timing import Figures, rate
from shardstore import Client, LocalCluster, TopologyOptions
from shardstore.limits import GIB, MIB

SETTLE_POLL_SECONDS = 0.02
REST_POLL_SECONDS = 0.05
ENTRY_OVERHEAD_BYTES = 240
"""More than a worker counts for an entry beside its key and value."""
RANGE_BYTES_MAX = 60 * MIB
"""Less than what makes a worker with much memory drain a range."""


class WrongAnswer(Exception):
    """The store is not as it was written, or not in the state that was to be measured: there is no figure."""


@dataclass(frozen=True, slots=True)
class Store:
    """A running cluster, and a client of it in this process."""

    cluster: LocalCluster
    db: Client

    def load(self, records: Records) -> None:
        """Write all records in one call."""
        self.db.put_many(zip(records.keys, records.values, strict=True), timeout=TIMEOUT_SECONDS)

    def measured(self, keys: int, work: Callable[[], object], settles: bool = False) -> Figures:
        """How fast `work` deals with `keys` keys. With `settles` also until the drains it left behind are done."""

        def run() -> Figures:
            figures = rate(keys, work)
            if settles:
                ended = time.perf_counter()
                self.settle()
                figures["settled_per_second"] = keys / (figures["seconds"] + time.perf_counter() - ended)
            return figures

        return self.with_cpu(keys, run)

    def with_cpu(self, keys: int, run: Callable[[], Figures]) -> Figures:
        """The figures of a run over `keys` keys, and what it cost in each kind of process."""
        before = cpu_seconds(self.cluster)
        figures = run()
        return figures | cpu_per_million(before, cpu_seconds(self.cluster), keys)

    def settle(self) -> None:
        """Wait until no run waits for its drain and no job runs."""
        while not is_settled(stats_of_all(self.db)):
            time.sleep(SETTLE_POLL_SECONDS)

    def move_to_tables(self) -> None:
        """Bring everything into one table for each segment."""
        self.db.flush(timeout=TIMEOUT_SECONDS)
        self.db.compact(timeout=TIMEOUT_SECONDS)
        self.settle()
        if any(owned["overlay_entries"] for owned in ranges_in(stats_of_all(self.db))):
            raise WrongAnswer("not everything is in tables")

    def check_buffered(self, tables_too: bool = True) -> None:
        """Refuse to go on when something waits for a drain, or (`tables_too`) has been drained."""
        found = ranges_in(stats_of_all(self.db))
        if any(owned["runs"] or (tables_too and owned["tables"]) for owned in found):
            raise WrongAnswer("something was drained that should have stayed in memory")


@contextmanager
def new_store(
    settings: Settings,
    durability: str = "group_sync",
    ranges: list[bytes] | None = None,
    memory: int | None = None,
    topology: TopologyOptions | None = None,
    workers: int | None = None,
) -> Iterator[Store]:
    """An empty store that ends, files and all, with the block. Without other arguments it is what a user gets."""
    with (
        settings.temporary_directory() as directory,
        served(
            LocalCluster(
                directory,
                workers=workers or settings.workers,
                memory=memory or settings.memory,
                durability=durability,
                ranges=ranges,
                topology=topology,
            )
        ) as store,
    ):
        yield store


@contextmanager
def served(cluster: LocalCluster) -> Iterator[Store]:
    """The store of a cluster that is started, and stopped at the end of the block."""
    with cluster, cluster.connect() as db:
        _wait_until_started(cluster)
        yield Store(cluster, db)


@contextmanager
def buffering_store(settings: Settings, records: Records) -> Iterator[Store]:
    """An empty store with room for all of these records in active layers, until it rests (targets.BUFFERING)."""
    ranges, memory = room_for(total_bytes(records), len(records.keys), settings.workers, settings.ranges)
    with new_store(settings, "async", records.boundaries(ranges), memory) as store:
        yield store


def _wait_until_started(cluster: LocalCluster) -> None:
    """Wait until no process of the cluster computes: a maintenance process starts behind its worker's back."""
    before: dict[str, float] = {}
    while (now := cpu_seconds(cluster) | {"client": 0.0}) != before:
        before = now
        time.sleep(REST_POLL_SECONDS)


def room_for(payload_bytes: int, entries: int, workers: int, ranges_min: int) -> tuple[int, int]:
    """Ranges, a multiple of the workers, and memory with which so much data is not drained."""
    buffered = payload_bytes + entries * ENTRY_OVERHEAD_BYTES
    ranges = max(ranges_min, -(-buffered // RANGE_BYTES_MAX))
    return -(-ranges // workers) * workers, max(workers * GIB, 4 * buffered)


def total_bytes(records: Records) -> int:
    """Bytes of all keys and values."""
    return sum(map(len, records.keys)) + sum(map(len, records.values))


def stats_of_all(db: Client) -> dict[Any, Any]:
    """The statistics, asked for again while a worker that is busy does not answer."""
    while True:
        stats = db.stats(timeout=TIMEOUT_SECONDS)
        if not any("unavailable" in figures for figures in stats.values()):
            return stats


def ranges_in(stats: Mapping[Any, Any]) -> Iterator[Mapping[str, Any]]:
    """The figures of every range in what `Client.stats` answers."""
    for worker, figures in stats.items():
        if worker != "router":
            yield from figures["ranges"]


def is_settled(stats: Mapping[Any, Any]) -> bool:
    """Whether no run waits and no job runs."""
    jobs = any(figures["jobs"]["running"] for worker, figures in stats.items() if worker != "router")
    return not jobs and not any(owned["runs"] for owned in ranges_in(stats))
