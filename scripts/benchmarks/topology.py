"""How changes of ranges affect callers: tail latency during splits, the longest wait of a write, a move of 1 GiB."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import psutil

from benchmarks.clusters import Store, WrongAnswer, new_store, served
from benchmarks.load_process import Load, latency_of_times, running
from benchmarks.records import HEX, Records, records_of
from benchmarks.settings import TIMEOUT_SECONDS, Settings
from benchmarks.targets import FITTED, FIVE_MILLISECONDS, IDLE, ONE_SECOND, TWENTY_MILLISECONDS, Row
from benchmarks.timing import Figures, medians
from shardstore import LocalCluster, TopologyOptions
from shardstore.files.file_names import SEGMENTS
from shardstore.limits import KIB
from shardstore.wire.admin_messages import RangeRow

BY_HAND = TopologyOptions(auto_topology=False)
CHANGED_BY_HAND = f"{FITTED}, auto_topology=False"
RECORDS_PER_CHANGE = 50_000
"""Limits the changes when there are few records."""
CHANGES_MAX = 20
CALLS_PER_SECOND = 1_000
SECONDS_BETWEEN_CHANGES = 1.0
"""Splits and merges alternate, so splits are twice this apart."""
AFTERMATH_SECONDS = 0.25
"""A call counts for a change until this long after it."""
APART_SECONDS = 0.05
"""A gap in which calls count for nothing, so that no call counts for two changes."""
MOVED_VALUE_BYTES = KIB - 16
MOVED_RECORDS_MAX = 1024 * KIB
LOADED_AT_ONCE = 16 * KIB
MOVES = 5


def split_stall(settings: Settings) -> Iterator[Row]:
    """Single puts at a steady rate to a range that is split every two seconds and merged in between, or left alone."""
    records = records_of(HEX, settings.count(HEX))
    phases: dict[bool, list[Figures]] = {False: [], True: []}
    for run in range(settings.runs):
        settings.say(f"split_stall, run {run + 1} of {settings.runs}")
        with _loaded_store(settings, records, "async") as store:
            for splits, figures in phases.items():
                figures.append(_steady_puts(store, records, _changes(settings), splits))
    idle = tail(medians(phases[False]))
    yield Row("split_stall", HEX.name, "split every 2 s", medians(phases[True]), {IDLE: idle}, {}, CHANGED_BY_HAND)


def _steady_puts(store: Store, records: Records, changes: int, splits: bool) -> Figures:
    keys = keys_of(store.db.admin.ranges()[0], records)
    lowest, middle = _starts_of_halves(keys)
    with running(Load(store.cluster.url, keys, calls_per_second=CALLS_PER_SECOND)) as load:
        due = time.perf_counter()
        for change in range(2 * -(-changes // 2)):
            if splits:
                admin = store.db.admin
                (admin.merge if change % 2 else admin.split)(lowest if change % 2 else middle)
            due += SECONDS_BETWEEN_CHANGES
            time.sleep(max(0.0, due - time.perf_counter()))
        return load.stop().latency()


def change_wait(settings: Settings) -> Iterator[Row]:
    """The longest wait of a single put during each change of its range, with one writer that never pauses."""
    records = records_of(HEX, settings.count(HEX))
    for durability in ("async", "group_sync"):
        waits: dict[str, list[int]] = {"nothing": [], "split": [], "merge": [], "move": []}
        for run in range(settings.runs):
            settings.say(f"change_wait, {durability}, run {run + 1} of {settings.runs}")
            with _loaded_store(settings, records, durability) as store:
                _add_waits(store, records, _changes(settings), waits)
        figures = {kind: latency_of_times(np.array(found, np.int64)) for kind, found in waits.items()}
        idle = {IDLE: tail(figures.pop("nothing"))}
        for kind, found in figures.items():
            bound, name = (20, TWENTY_MILLISECONDS) if kind == "move" else (5, FIVE_MILLISECONDS)
            beside = idle | {name: {"p99_us": bound * 1e3}}
            yield Row("change_wait", HEX.name, f"{kind}, {durability}", found, beside, {}, CHANGED_BY_HAND)


def _add_waits(store: Store, records: Records, changes: int, waits: dict[str, list[int]]) -> None:
    """Make `changes` changes of each kind in turn, and add the longest wait during each of them."""
    first = store.db.admin.ranges()[0]
    keys = keys_of(first, records)
    lowest, middle = _starts_of_halves(keys)
    admin = store.db.admin
    work: dict[str, Callable[[int], object]] = {
        "nothing": lambda _: None,
        "split": lambda _: admin.split(middle, timeout=TIMEOUT_SECONDS),
        "merge": lambda _: admin.merge(lowest, timeout=TIMEOUT_SECONDS),
        "move": lambda to: admin.move(lowest, to, timeout=TIMEOUT_SECONDS),
    }
    times: list[tuple[str, int, int]] = []
    others = [row.worker for row in admin.ranges() if row.worker != first.worker]
    places = (others[0] if others else first.worker, first.worker)
    with running(Load(store.cluster.url, keys)) as load:
        for change in range(changes):
            for kind, make in work.items():
                if kind == "move" and not others:
                    continue
                started = time.perf_counter_ns()
                make(places[change % 2])
                time.sleep(AFTERMATH_SECONDS)
                times.append((kind, started, time.perf_counter_ns()))
                time.sleep(APART_SECONDS)
        calls = load.stop()
    for kind, started, ended in times:
        waits[kind].append(int(calls.between(started, ended).took_ns.max()))


def move_1gib(settings: Settings) -> Iterator[Row]:
    """Moves of a compacted range of 1 GiB from one worker to another and back.

    *Warm*: its pages are in the page cache, and clients read and write it meanwhile; *cold*: the page cache has dropped
    them, and all processes are new.
    """
    count = min(settings.n // 2, MOVED_RECORDS_MAX)
    keys = HEX.keys(np.arange(count, dtype=np.uint64))
    with settings.temporary_directory() as directory:
        settings.say("move_1gib, loading")
        with served(_two_workers(settings, directory)) as store:
            _load_large(store, keys)
            store.move_to_tables()
            settings.say("move_1gib, warm")
            warm = _moves(store, keys)
        cold = []
        for run in range(settings.runs):
            settings.say(f"move_1gib, cold, run {run + 1} of {settings.runs}")
            _drop_pages(Path(directory) / SEGMENTS)
            with served(_two_workers(settings, directory)) as store:
                cold.append(_moved(store, keys[0]))
    for way, moves in (("warm", warm), ("cold", cold)):
        written = sum(written for _, written in moves) / len(moves)
        figures = latency_of_times(np.array([took for took, _ in moves], np.int64))
        figures["bytes_written"] = written
        figures["stored_bytes"] = float(count * KIB)
        yield Row("move_1gib", "1 KiB", way, figures, {ONE_SECOND: {"max_us": 1e6}}, {}, CHANGED_BY_HAND)


def _two_workers(settings: Settings, directory: str) -> LocalCluster:
    return LocalCluster(directory, 2, settings.memory, "async", ranges=1, topology=BY_HAND)


def _load_large(store: Store, keys: list[bytes]) -> None:
    values = np.random.default_rng(0)
    rest = iter(keys)
    while some := list(islice(rest, LOADED_AT_ONCE)):
        store.db.put_many([(key, values.bytes(MOVED_VALUE_BYTES)) for key in some], timeout=TIMEOUT_SECONDS)


def _moves(store: Store, keys: list[bytes]) -> list[tuple[int, int]]:
    """Time and bytes written of each move while a reader and a slow writer use the range, which must not fail."""
    spread = keys[:: max(1, len(keys) // 10_000)]
    url = store.cluster.url
    with (
        running(Load(url, spread, value_bytes=0, calls_per_second=200)) as reader,
        running(Load(url, spread, value_bytes=MOVED_VALUE_BYTES, calls_per_second=10)) as writer,
    ):
        moves = [_moved(store, keys[0]) for _ in range(MOVES)]
        reader.stop()
        writer.stop()
    return moves


def _moved(store: Store, key: bytes) -> tuple[int, int]:
    """Move the range with this key to the other worker; returns the nanoseconds taken and the bytes written."""
    [row] = [row for row in store.db.admin.ranges() if row.start <= key and (not row.end or key < row.end)]
    before = _written_bytes(store.cluster)
    started = time.perf_counter_ns()
    store.db.admin.move(key, 1 - row.worker, timeout=TIMEOUT_SECONDS)
    return time.perf_counter_ns() - started, _written_bytes(store.cluster) - before


def _written_bytes(cluster: LocalCluster) -> int:
    """The bytes that all processes of the cluster sent to the disk, including logs."""
    return sum(psutil.Process(pid).io_counters().write_bytes for pid in cluster.processes().values())


def _drop_pages(directory: Path) -> None:
    """Drop the files below a directory from the page cache; no process has them open."""
    for path in filter(Path.is_file, directory.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fdatasync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


@contextmanager
def _loaded_store(settings: Settings, records: Records, durability: str) -> Iterator[Store]:
    """A store with all records in tables, whose ranges change only on request."""
    boundaries = records.boundaries(settings.ranges)
    with new_store(settings, durability, boundaries, topology=BY_HAND) as store:
        store.load(records)
        store.move_to_tables()
        yield store


def tail(figures: Figures) -> Figures:
    """The figures by which tails are compared."""
    return {name: figures[name] for name in ("p99_us", "max_us")}


def _starts_of_halves(keys: list[bytes]) -> tuple[bytes, bytes]:
    """The first keys of both halves. Called before a measurement, since sorting would take a core from it."""
    in_order = sorted(keys)
    return in_order[0], in_order[len(in_order) // 2]


def _changes(settings: Settings) -> int:
    return min(CHANGES_MAX, max(2, settings.n // RECORDS_PER_CHANGE))


def keys_of(row: RangeRow, records: Records) -> list[bytes]:
    """The keys of a range, in random order."""
    keys = [key for key in records.keys if row.start <= key and (not row.end or key < row.end)]
    if len(keys) < 2:
        raise WrongAnswer("a range with fewer than two keys cannot be split")
    return keys
