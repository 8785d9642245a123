"""New clusters for workloads, and the states that workloads need."""

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
UNCHANGED_SECONDS = 0.5
BUFFERED_ENTRY_BYTES_MAX = 240
"""More than the overhead that a worker counts for an entry."""
RANGE_BYTES_MAX = 60 * MIB
"""Less than the size at which a worker with much memory drains a range."""


class WrongAnswer(Exception):
    """The store returned wrong data, or is not in the state to be measured, so there are no figures."""


@dataclass(frozen=True, slots=True)
class Store:
    """A running cluster with a client in this process."""

    cluster: LocalCluster
    db: Client

    def load(self, records: Records) -> None:
        """Write all records in one call."""
        self.db.put_many(zip(records.keys, records.values, strict=True), timeout=TIMEOUT_SECONDS)

    def measured(self, keys: int, work: Callable[[], object], settles: bool = False) -> Figures:
        """The rate at which `work` handles `keys` keys; with `settles` also the rate until its drains are done."""

        def run() -> Figures:
            figures = rate(keys, work)
            if settles:
                ended = time.perf_counter()
                self.settle()
                figures["settled_per_second"] = keys / (figures["seconds"] + time.perf_counter() - ended)
            return figures

        return self.with_cpu(keys, run)

    def with_cpu(self, keys: int, run: Callable[[], Figures]) -> Figures:
        """The figures of a run over `keys` keys, with the CPU seconds of each kind of process."""
        before = cpu_seconds(self.cluster)
        figures = run()
        return figures | cpu_per_million(before, cpu_seconds(self.cluster), keys)

    def settle(self) -> None:
        """Wait until no run waits for its drain and no job is running."""
        while not is_settled(stats_of_all(self.db)):
            time.sleep(SETTLE_POLL_SECONDS)

    def move_to_tables(self) -> None:
        """Flush and compact, so that each segment has only tables."""
        self.db.flush(timeout=TIMEOUT_SECONDS)
        self.db.compact(timeout=TIMEOUT_SECONDS)
        self.settle()
        if any(owned["overlay_entries"] for owned in ranges_in(stats_of_all(self.db))):
            raise WrongAnswer("some entries are not in tables")

    def rest(self) -> None:
        """Move everything to tables until the ranges stay the same: a young store splits its ranges by itself."""
        before = -1
        while (version := stats_of_all(self.db)["router"]["map_version"]) != before:
            before = version
            self.move_to_tables()
            time.sleep(UNCHANGED_SECONDS)

    def overlay_share(self, entries: int) -> Figures:
        """The share of so many entries that is in overlays now."""
        found = sum(owned["overlay_entries"] for owned in ranges_in(stats_of_all(self.db)))
        return {"overlay_share": found / entries}

    def check_buffered(self, tables_too: bool = True) -> None:
        """Raise WrongAnswer if anything waits for a drain or, with `tables_too`, has been drained."""
        found = ranges_in(stats_of_all(self.db))
        if any(owned["runs"] or (tables_too and owned["tables"]) for owned in found):
            raise WrongAnswer("entries were drained that should have stayed in memory")


@contextmanager
def new_store(
    settings: Settings,
    durability: str = "group_sync",
    ranges: list[bytes] | None = None,
    memory: int | None = None,
    topology: TopologyOptions | None = None,
    workers: int | None = None,
) -> Iterator[Store]:
    """An empty store that is removed at the end of the block. Other arguments replace the defaults that a user gets."""
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
    """Start the cluster, and stop it at the end of the block."""
    with cluster, cluster.connect() as db:
        _wait_until_started(cluster)
        yield Store(cluster, db)


@contextmanager
def buffering_store(settings: Settings, records: Records) -> Iterator[Store]:
    """An empty store with room for all of these records in active layers (targets.BUFFERING)."""
    ranges, memory = room_for(total_bytes(records), len(records.keys), settings.workers, settings.ranges)
    with new_store(settings, "async", records.boundaries(ranges), memory) as store:
        yield store


def _wait_until_started(cluster: LocalCluster) -> None:
    """Wait until no process of the cluster uses CPU: the maintenance processes are still starting in the background."""
    before: dict[str, float] = {}
    while (now := cpu_seconds(cluster) | {"client": 0.0}) != before:
        before = now
        time.sleep(REST_POLL_SECONDS)


def room_for(payload_bytes: int, entries: int, workers: int, ranges_min: int) -> tuple[int, int]:
    """How many ranges, a multiple of the workers, and how much memory keep this much data from being drained."""
    buffered = payload_bytes + entries * BUFFERED_ENTRY_BYTES_MAX
    ranges = max(ranges_min, -(-buffered // RANGE_BYTES_MAX))
    return -(-ranges // workers) * workers, max(workers * GIB, 4 * buffered)


def total_bytes(records: Records) -> int:
    """The bytes of all keys and values."""
    return sum(map(len, records.keys)) + sum(map(len, records.values))


def stats_of_all(db: Client) -> dict[Any, Any]:
    """The statistics of all workers; asks again while a busy worker does not reply."""
    while True:
        stats = db.stats(timeout=TIMEOUT_SECONDS)
        if not any("unavailable" in figures for figures in stats.values()):
            return stats


def ranges_in(stats: Mapping[Any, Any]) -> Iterator[Mapping[str, Any]]:
    """The statistics of every range in the result of `Client.stats`."""
    for worker, figures in stats.items():
        if worker != "router":
            yield from figures["ranges"]


def is_settled(stats: Mapping[Any, Any]) -> bool:
    """Whether no run waits for its drain and no job is running."""
    jobs = any(figures["jobs"]["running"] for worker, figures in stats.items() if worker != "router")
    return not jobs and not any(owned["runs"] for owned in ranges_in(stats))
