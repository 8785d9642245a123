"""Replay of the log: how fast a store starts again after all its processes were killed.

Another process serves the store. It is filled and killed with SIGKILL, supervisor first, which leaves the most work
for the next start. Then the store is started again, until every worker serves. The start time of an empty store is
subtracted. The rest is the time to verify the log, to rewrite the part not known to be synced, and to replay it into
active layers. All workers do so at the same time and share the cores. Records drained before the kill are not
replayed and not counted.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

import psutil

from benchmarks.clusters import WrongAnswer, ranges_in, room_for, stats_of_all, total_bytes
from benchmarks.processes import cpu_seconds
from benchmarks.records import HEX, Records, records_of
from benchmarks.settings import TIMEOUT_SECONDS, Settings
from benchmarks.targets import A_MILLION, BUFFERING, Row
from benchmarks.timing import Figures, medians, rate_of
from shardstore import LocalCluster, Unavailable, connect, connect_async
from shardstore.cluster.runtime_directory import remove_runtime_directory
from shardstore.system.running_cluster import last_announced, running_on

SINGLES_MAX = 400_000
"""With many fewer, the replay would be shorter than what can be told apart from the start."""
SINGLES_RANGES = 64
POLL_SECONDS = 0.01
REPLAYED_SHARE_MIN = 0.25
"""Minimum share of the records in the log: with fewer, the measurement means little."""
TOLD_APART_SECONDS = 0.1
"""Start times vary by this much between runs, so a shorter replay counts as this long."""
Fill: TypeAlias = Callable[[str, Records, Sequence[bytes]], None]
"""Writes the records, or none, to the store at a url; its ranges begin at the boundaries."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log to be replayed: its records, the minimum number of ranges of its store, and how it is written."""

    records: Records
    ranges_min: int
    fill: Fill


def replay(settings: Settings) -> Iterator[Row]:
    """Entries per second and worker, from a log of batches and from a log of single writes."""
    batches = records_of(HEX, settings.count(HEX))
    singles = records_of(HEX, min(settings.n, SINGLES_MAX))
    logs = {
        "empty": Log(singles, settings.ranges, _write_nothing),
        "batch writes": Log(batches, settings.ranges, _write_batches),
        "single writes": Log(singles, SINGLES_RANGES, _write_singles),
    }
    starts: dict[str, list[Figures]] = {way: [] for way in logs}
    for run in range(settings.runs):
        for way, log in logs.items():
            settings.say(f"replay, {way}, run {run + 1} of {settings.runs}")
            starts[way].append(_start_after_kill(settings, log))
    empty = medians(starts.pop("empty"))
    for way, measured in starts.items():
        figures = _without_the_start(medians(measured), empty, settings.workers)
        yield Row("replay", HEX.name, way, figures, {A_MILLION: {"per_second": 1e6}}, {}, BUFFERING)


def _start_after_kill(settings: Settings, log: Log) -> Figures:
    """Start a store after its processes were killed.

    Returns the seconds until it serves, the CPU seconds of the workers, and the number of entries replayed.
    """
    records, fill = log.records, log.fill
    ranges, memory = room_for(total_bytes(records), len(records.keys), settings.workers, log.ranges_min)
    with settings.temporary_directory() as data:
        boundaries = records.boundaries(ranges)
        with LocalCluster(data, workers=settings.workers, ranges=boundaries):
            pass  # makes the ranges
        with _served(data, memory) as url:
            fill(url, records, boundaries)
        started = time.perf_counter()
        with LocalCluster(data, memory=memory) as cluster:
            figures = {"seconds": time.perf_counter() - started, "worker": cpu_seconds(cluster)["worker"]}
            with cluster.connect() as db:
                figures["entries"] = sum(owned["overlay_entries"] for owned in ranges_in(stats_of_all(db)))
                answers = db.get_many(records.keys, timeout=TIMEOUT_SECONDS)
    if answers != (records.values if fill is not _write_nothing else [None] * len(records.keys)):
        raise WrongAnswer("a record written before the kill was read with another value")
    if figures["entries"] < len(records.keys) * REPLAYED_SHARE_MIN and fill is not _write_nothing:
        raise WrongAnswer("most of the records were drained before the kill")
    return figures


def _without_the_start(measured: Figures, empty: Figures, workers: int) -> Figures:
    entries = int(measured["entries"])
    replayed = max(TOLD_APART_SECONDS, measured["seconds"] - empty["seconds"])
    cpu_seconds_spent = max(0.0, measured["worker"] - empty["worker"])
    return rate_of(entries // workers, replayed) | {"worker_cpu_s_per_million": cpu_seconds_spent / entries * 1e6}


@contextmanager
def _served(data: str, memory: int) -> Iterator[str]:
    """Serve the store from another process, and kill it and its children at the end of the block; yields the url."""
    command = [sys.executable, "-m", "shardstore", "serve", "--data", data, "--memory", str(memory)]
    supervisor = psutil.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield _url_when_served(supervisor, data)
    finally:
        processes = [supervisor, *supervisor.children(recursive=True)] if supervisor.is_running() else []
        for process in processes:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(processes, timeout=TIMEOUT_SECONDS)
        killed = last_announced(data)
        if killed is not None:
            remove_runtime_directory(killed.runtime_directory)


def _url_when_served(supervisor: psutil.Popen, data: str) -> str:
    while True:
        try:
            return running_on(data).url
        except Unavailable:
            if supervisor.poll() is not None:
                raise
            time.sleep(POLL_SECONDS)


def _write_nothing(url: str, records: Records, boundaries: Sequence[bytes]) -> None:
    """Write nothing, so that the store stays empty."""


def _write_batches(url: str, records: Records, boundaries: Sequence[bytes]) -> None:
    with connect(url) as db:
        db.put_many(zip(records.keys, records.values, strict=True), timeout=TIMEOUT_SECONDS)


def _write_singles(url: str, records: Records, boundaries: Sequence[bytes]) -> None:
    asyncio.run(_put_each(url, records, boundaries))


async def _put_each(url: str, records: Records, boundaries: Sequence[bytes]) -> None:
    """Write every record in a request of its own.

    A client has one write under way to each range, and sends the waiting ones together. So there is one task for each
    range, and this function checks that each write made its own record in the log.
    """
    parts: list[list[tuple[bytes, bytes]]] = [[] for _ in range(len(boundaries) + 1)]
    for record in zip(records.keys, records.values, strict=True):
        parts[bisect_right(boundaries, record[0])].append(record)

    async with await connect_async(url) as db:

        async def put_part(part: list[tuple[bytes, bytes]]) -> None:
            for key, value in part:
                await db.put(key, value)

        await asyncio.gather(*map(put_part, parts))
        stats = await db.stats()
    logged = sum(figures["wal"]["lsn_appended"] for figures in stats.values() if "wal" in figures)
    if logged != len(records.keys):
        raise WrongAnswer(f"{len(records.keys)} single writes made {logged} log records")
