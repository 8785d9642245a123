"""What maintenance costs: how fast jobs are, how much they write, and how they delay callers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from benchmarks.clusters import Store, buffering_store, new_store
from benchmarks.records import HEX, Records, records_of
from benchmarks.settings import TIMEOUT_SECONDS, Settings
from benchmarks.targets import A_MILLION, ASYNC, BUFFERING, FITTED, IDLE, WHOLE_MAINS, Row
from benchmarks.timing import Figures, medians, percentile, rate
from shardstore import connect
from shardstore.memory_plan import WORKER_MEMORY_MIN

CALL_ENTRIES = 1_000
CALLS_PER_SECOND = 50
CALLS_MAX = 500
RECORDS_PER_CALL = 100
"""Limits the calls when there are few records."""
UPDATED_SHARE = 10
"""A tenth of the keys, adjacent in key order, is written again and again."""


def jobs(settings: Settings) -> Iterator[Row]:
    """Entries per second of one maintenance process while all workers drain, or compact, at the same time."""
    records = records_of(HEX, settings.count(HEX))
    runs: dict[str, list[Figures]] = {"drain": [], "compaction": []}
    for run in range(settings.runs):
        settings.say(f"jobs, run {run + 1} of {settings.runs}")
        for way, figures in _run_of_jobs(settings, records).items():
            runs[way].append(figures)
    for way, measured in runs.items():
        yield Row("jobs", HEX.name, way, medians(measured), {A_MILLION: {"per_second": 1e6}}, {}, BUFFERING)


def _run_of_jobs(settings: Settings, records: Records) -> dict[str, Figures]:
    """Drain one half of the records, then the other half, then compact both."""
    half = len(records.keys) // 2
    of_one_process = half // settings.workers
    with buffering_store(settings, records) as store:
        drains = []
        for part in (slice(0, half), slice(half, 2 * half)):
            store.db.put_many(zip(records.keys[part], records.values[part], strict=True), timeout=TIMEOUT_SECONDS)
            store.check_buffered(tables_too=False)
            drains.append(store.with_cpu(half, lambda: rate(of_one_process, _flush(store))))
        compaction = store.with_cpu(2 * half, lambda: rate(2 * of_one_process, _compact(store)))
    return {"drain": medians(drains), "compaction": compaction}


def put_busy(settings: Settings) -> Iterator[Row]:
    """The p99 delay of calls at a steady rate while drains and compactions run all the time."""
    records = records_of(HEX, settings.count(HEX))
    phases: dict[str, list[Figures]] = {"idle": [], "busy": []}
    for run in range(settings.runs):
        settings.say(f"put_busy, run {run + 1} of {settings.runs}")
        with new_store(settings, "async") as store:
            store.load(records)
            store.move_to_tables()
            phases["idle"].append(_steady_load(store, records))
            with _maintained_all_the_time(store):
                phases["busy"].append(_steady_load(store, records))
    yield Row("put_busy", HEX.name, "steady load", medians(phases["busy"]), {IDLE: medians(phases["idle"])}, {}, ASYNC)


def _steady_load(store: Store, records: Records) -> Figures:
    """Make calls at a steady rate. A delay counts from when a call was due, so a late call also delays the next."""
    late = []
    started = time.perf_counter()
    pairs = list(zip(records.keys, records.values, strict=True))
    for number in range(min(CALLS_MAX, len(pairs) // RECORDS_PER_CALL)):
        due = started + number / CALLS_PER_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
        at = number * CALL_ENTRIES % max(1, len(pairs) - CALL_ENTRIES)
        store.db.put_many(pairs[at : at + CALL_ENTRIES], timeout=TIMEOUT_SECONDS)
        late.append((time.perf_counter() - due) * 1e6)
    return {"p99_us": percentile(late, 99)}


@contextmanager
def _maintained_all_the_time(store: Store) -> Iterator[None]:
    """Let another client compact again and again until the end of the block."""
    stopped = Event()

    def maintain() -> None:
        with connect(store.cluster.url) as db:
            while not stopped.is_set():
                db.compact(timeout=TIMEOUT_SECONDS)

    thread = Thread(target=maintain, name="maintenance")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def write_amplification(settings: Settings) -> Iterator[Row]:
    """Bytes written by drains and compactions for each byte drained.

    All records are written in random order, then as many updates go to a tenth of the key space. Compared with
    compactions that would rewrite whole mains.
    """
    records = records_of(HEX, settings.count(HEX))
    settings.say("write_amplification")
    in_order = sorted(records.keys)
    tenth = set(in_order[len(in_order) // 4 : len(in_order) // 4 + len(in_order) // UPDATED_SHARE])
    updates = [(key, value) for key, value in zip(records.keys, records.values, strict=True) if key in tenth]
    memory = settings.workers * WORKER_MEMORY_MIN  # the minimum, so that drains are frequent
    with new_store(settings, "async", records.boundaries(settings.workers), memory) as store:
        store.load(records)
        for _ in range(UPDATED_SHARE):
            store.db.put_many(updates, timeout=TIMEOUT_SECONDS)
        store.db.flush(timeout=TIMEOUT_SECONDS)
        store.settle()
        work = _sum_of_work(store.db.stats(timeout=TIMEOUT_SECONDS))
    written, drained, carried = work["written_bytes"], work["drained_bytes"], work["carried_bytes"]
    whole = {"bytes_per_byte": (written + carried) / drained}
    options = f"{FITTED}, the least memory"
    figures = {"bytes_per_byte": written / drained}
    yield Row("write_amplification", HEX.name, "parts", figures, {WHOLE_MAINS: whole}, {}, options)


def _sum_of_work(stats: Mapping[Any, Any]) -> dict[str, int]:
    """The bytes that jobs read, wrote and carried over, summed over all workers."""
    sums = [figures["sum"] for worker, figures in stats.items() if worker != "router"]
    return {
        "drained_bytes": sum(work["drains"]["read_bytes"] for work in sums),
        "written_bytes": sum(work["drains"]["written_bytes"] + work["compactions"]["written_bytes"] for work in sums),
        "carried_bytes": sum(work["compactions"]["carried_bytes"] for work in sums),
    }


def _flush(store: Store) -> Callable[[], None]:
    return lambda: store.db.flush(timeout=TIMEOUT_SECONDS)


def _compact(store: Store) -> Callable[[], None]:
    return lambda: store.db.compact(timeout=TIMEOUT_SECONDS)
