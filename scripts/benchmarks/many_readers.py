"""Batches read by several processes at once, from tables after a rest, compared with one process and with LMDB.

Each process reads its share of the keys again and again in calls of 1000. The rate is the sum of all keys in calls that
ended in the same few seconds. Processes that use LMDB read the same environment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from benchmarks import limits
from benchmarks.batches import CALL_ENTRIES
from benchmarks.clusters import WrongAnswer, new_store
from benchmarks.load_process import Load, running
from benchmarks.processes import cpu_per_million, cpu_seconds, cpu_seconds_of
from benchmarks.records import HEX, Records, records_of
from benchmarks.settings import TIMEOUT_SECONDS, Settings
from benchmarks.targets import DICT_GET, ONE_CLIENT, ONE_PROCESS, Row
from benchmarks.timing import Figures, medians, rate_of

PROCESSES = 4
SECONDS_MAX = 4.0
SECONDS_MIN = 0.3
RECORDS_PER_SECOND = 250_000
"""Sets how long a run takes: with fewer records it is shorter."""
OURS = "shardstore"
LMDB = "lmdb"
CPUSeconds: TypeAlias = Callable[[], Mapping[str, float]]
"""The CPU seconds so far of the processes that serve, by kind."""


def get_many_processes(settings: Settings) -> Iterator[Row]:
    """Calls of 1000 keys from tables by 1 and by 4 client processes, beside LMDB."""
    records = records_of(HEX, settings.count(HEX))
    with new_store(settings) as store, ExitStack() as stack:
        store.load(records)
        store.rest()
        if store.db.get_many(records.keys, timeout=TIMEOUT_SECONDS) != records.values:
            raise WrongAnswer("a key was read with another value than was written")
        loads = {OURS: Load(store.cluster.url, batch=CALL_ENTRIES, value_bytes=0)}
        servers: dict[str, CPUSeconds] = {OURS: lambda: cpu_seconds(store.cluster), LMDB: dict}
        if LMDB in settings.peers:
            directory = stack.enter_context(_lmdb_with(settings, records))
            loads[LMDB] = Load(directory, batch=CALL_ENTRIES, value_bytes=0, lmdb=True)
        runs: dict[tuple[str, int], list[Figures]] = {(side, count): [] for count in (1, PROCESSES) for side in loads}
        for number in range(settings.runs):
            for (side, count), measured in runs.items():
                settings.say(f"get_many_processes, {side}, {processes(count)}, run {number + 1} of {settings.runs}")
                measured.append(_read_together(settings, loads[side], servers[side], records.keys, count))
    bare = limits.dict_get(settings, records)
    figures = {at: medians(measured) for at, measured in runs.items()}
    for count in (1, PROCESSES):
        beside = {DICT_GET: bare} | ({ONE_PROCESS: figures[OURS, 1]} if count > 1 else {})
        peers = {LMDB: figures[LMDB, count]} if LMDB in loads else {}
        yield Row("get_many_processes", HEX.name, processes(count), figures[OURS, count], beside, peers)


def processes(count: int) -> str:
    """The way of a row that so many client processes measure."""
    return ONE_CLIENT if count == 1 else f"{count} processes"


def _read_together(settings: Settings, load: Load, servers: CPUSeconds, keys: Sequence[bytes], count: int) -> Figures:
    """The sum of all keys that `count` processes read, with the CPU seconds of the clients and the servers."""
    with ExitStack() as stack:
        loads = [replace(load, keys=keys[number::count]) for number in range(count)]
        clients = [stack.enter_context(running(load)) for load in loads]

        def spent() -> dict[str, float]:
            return {**servers(), "client": sum(cpu_seconds_of(client.pid) for client in clients)}

        before, started_ns = spent(), time.perf_counter_ns()
        time.sleep(min(SECONDS_MAX, max(SECONDS_MIN, settings.n / RECORDS_PER_SECOND)))
        after, ended_ns = spent(), time.perf_counter_ns()
        answered = sum(client.stop().keys_answered(started_ns, ended_ns) for client in clients)
    if not answered:
        raise WrongAnswer("no call ended in time")
    return rate_of(answered, (ended_ns - started_ns) / 1e9) | cpu_per_million(before, after, answered)


@contextmanager
def _lmdb_with(settings: Settings, records: Records) -> Iterator[str]:
    """An LMDB environment that holds the records; yields its directory."""
    from benchmarks.peers.lmdb_peer import LMDBPeer  # noqa: PLC0415 (the package may not be installed)

    with settings.temporary_directory() as directory:
        with closing(LMDBPeer(Path(directory), synced=False)) as peer:
            peer.put_many(records.keys, records.values)
            peer.settle()
        yield directory
