"""Concurrent single reads by asyncio tasks and by threads of one client, compared with a single thread.

Embedded engines have no client for asyncio, so tasks are compared only with peers that have a server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.clusters import Store, WrongAnswer, new_store
from benchmarks.comparing import measure_peers
from benchmarks.records import HEX, Records, records_of
from benchmarks.settings import TASKS, THREADS, Settings
from benchmarks.targets import ONE_THREAD, Row
from benchmarks.timing import Figures, medians, rate, rate_of
from shardstore import connect_async

RECORDS_MAX = 50_000
ONE_THREAD_RECORDS_MAX = 10_000


def get_tasks(settings: Settings) -> Iterator[Row]:
    """Single reads from many asyncio tasks of one client."""
    return _rows(settings, "get_tasks", f"{TASKS} tasks", _by_tasks)


def get_threads(settings: Settings) -> Iterator[Row]:
    """Single reads from many threads that share one client."""
    return _rows(settings, "get_threads", f"{THREADS} threads", _by_threads)


def _rows(settings: Settings, workload: str, way: str, together: Callable[[Store, Records], Figures]) -> Iterator[Row]:
    records = records_of(HEX, min(settings.n, RECORDS_MAX))
    peers = measure_peers(settings, HEX, workload, len(records.keys))
    alone, all_at_once = [], []
    with new_store(settings) as store:
        store.load(records)
        together(store, records)  # warm up: the first calls of a process are not measured
        for run in range(settings.runs):
            settings.say(f"{workload}, run {run + 1} of {settings.runs}")
            alone.append(_by_one_thread(store, records))
            all_at_once.append(store.with_cpu(len(records.keys), lambda: together(store, records)))
    yield Row(workload, HEX.name, way, medians(all_at_once), {ONE_THREAD: medians(alone)}, peers)


def _by_one_thread(store: Store, records: Records) -> Figures:
    keys = records.keys[:ONE_THREAD_RECORDS_MAX]
    answers: list[bytes | None] = []
    figures = rate(len(keys), lambda: answers.extend(map(store.db.get, keys)))
    _check(answers, records.values[: len(keys)])
    return figures


def _by_threads(store: Store, records: Records) -> Figures:
    parts = [records.keys[number::THREADS] for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        answers: list[list[bytes | None]] = []
        figures = rate(
            len(records.keys), lambda: answers.extend(pool.map(lambda part: list(map(store.db.get, part)), parts))
        )
    for number, part in enumerate(answers):
        _check(part, records.values[number::THREADS])
    return figures


def _by_tasks(store: Store, records: Records) -> Figures:
    return asyncio.run(_gather(store, records))


async def _gather(store: Store, records: Records) -> Figures:
    async with await connect_async(store.cluster.url) as db:

        async def get_part(number: int) -> list[bytes | None]:
            return [await db.get(key) for key in records.keys[number::TASKS]]

        started = time.perf_counter()
        answers = await asyncio.gather(*map(get_part, range(TASKS)))
        figures = rate_of(len(records.keys), time.perf_counter() - started)
    for number, part in enumerate(answers):
        _check(part, records.values[number::TASKS])
    return figures


def _check(answers: list[bytes | None], expected: list[bytes]) -> None:
    if answers != expected:
        raise WrongAnswer("a key was read with another value than was written")
