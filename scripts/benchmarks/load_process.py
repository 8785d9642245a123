"""A client process that repeats the same kind of call until it is stopped, and records the time and latency of each.

All processes of the machine share its clock (CLOCK_MONOTONIC), so its measurements can be matched with events in this
process.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from ctypes import c_bool
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks.child import child_process
from benchmarks.clusters import WrongAnswer
from benchmarks.processes import keep_on
from benchmarks.settings import TIMEOUT_SECONDS
from benchmarks.timing import Figures, percentile
from shardstore import Client, ShardstoreError, connect

Times: TypeAlias = npt.NDArray[np.int64]
Call: TypeAlias = Callable[[list[bytes]], object]

PERCENTILES = (("p50_us", 50), ("p99_us", 99), ("max_us", 100))
ASCENDING_KEY = b"%016x"


@dataclass(frozen=True, slots=True)
class Load:
    """Calls of `batch` keys each, one after the other, `calls_per_second` or as fast as possible with 0.

    The calls cycle through `keys`; without keys, each call writes the next ascending numbers. Calls write values of
    `value_bytes` bytes, or read if that is 0. `core`: the only processor the client may run on. With `lmdb`, `url` is
    the directory of an LMDB environment, which the process reads itself.
    """

    url: str
    keys: Sequence[bytes] = ()
    batch: int = 1
    value_bytes: int = 24
    calls_per_second: int = 0
    core: int | None = None
    lmdb: bool = False


@dataclass(frozen=True, slots=True)
class Calls:
    """Measured calls: when each was due, and how many nanoseconds later it ended."""

    batch: int
    due_ns: Times
    took_ns: Times
    failures: Sequence[str] = ()

    def between(self, started_ns: int, ended_ns: int) -> Calls:
        """The calls that were under way at any time between the two times."""
        chosen = (self.due_ns + self.took_ns >= started_ns) & (self.due_ns < ended_ns)
        return Calls(self.batch, self.due_ns[chosen], self.took_ns[chosen])

    def latency(self) -> Figures:
        """The median, p99 and maximum latency. Raises WrongAnswer if there was no call."""
        return latency_of_times(self.took_ns)

    def keys_answered(self, started_ns: int, ended_ns: int) -> int:
        """The number of keys in calls that ended between the two times."""
        ends = self.due_ns + self.took_ns
        return self.batch * int(np.count_nonzero((ends >= started_ns) & (ends < ended_ns)))


class Running:
    """A running client process."""

    def __init__(self, pid: int, batch: int, results: Connection, stopped: c_bool) -> None:
        self.pid = pid
        self._batch = batch
        self._results = results
        self._stopped = stopped

    def stop(self) -> Calls:
        """Stop the process and return all its calls. Raises WrongAnswer if a call failed."""
        self._stopped.value = True
        failures = self._results.recv_bytes().decode()
        times = np.frombuffer(self._results.recv_bytes(), np.int64).reshape(2, -1)
        if failures:
            raise WrongAnswer(f"calls failed: {failures}")
        return Calls(self._batch, times[0], times[1])


@contextmanager
def running(load: Load) -> Iterator[Running]:
    """Run the load in a process until the end of the block; waits for its first reply."""
    context = get_context("spawn")
    here, there = context.Pipe()
    stopped = context.RawValue(c_bool, False)
    with child_process(_work, load, there, stopped) as pid:
        there.close()
        here.recv_bytes()
        yield Running(pid, load.batch, here, stopped)


def latency_of_times(times_ns: Times) -> Figures:
    """The median, p99 and maximum of the times. Raises WrongAnswer if there are none."""
    if not len(times_ns):
        raise WrongAnswer("no call was under way at that time")
    times = times_ns.tolist()
    return {name: percentile(times, percent) / 1_000 for name, percent in PERCENTILES}


def _work(load: Load, results: Connection, stopped: c_bool) -> None:
    due_ns: list[int] = []
    took_ns: list[int] = []
    if load.core is not None:
        keep_on(os.getpid(), load.core)
    failures: list[str] = []
    with _opened(load) as call:
        steps = keys_of_calls(load)
        call(next(steps))
        results.send_bytes(b"ready")
        due = time.perf_counter_ns()
        for keys in steps:
            if stopped.value:
                break
            due = _next_due_ns(due, load.calls_per_second)
            try:
                call(keys)
            except ShardstoreError as error:
                failures.append(repr(error))
            due_ns.append(due)
            took_ns.append(time.perf_counter_ns() - due)
    results.send_bytes("; ".join(failures).encode())
    results.send_bytes(np.array([due_ns, took_ns], np.int64).tobytes())


@contextmanager
def _opened(load: Load) -> Iterator[Call]:
    """Open what the load uses; yields the function that makes a call."""
    if load.lmdb:
        from benchmarks.peers.lmdb_peer import LMDBPeer  # noqa: PLC0415 (the package may not be installed)

        with closing(LMDBPeer(Path(load.url), synced=False)) as peer:
            yield peer.get_many
    else:
        with connect(load.url) as db:
            yield _reader(db) if load.value_bytes == 0 else _writer(db, load.value_bytes)


def _next_due_ns(due_ns: int, calls_per_second: int) -> int:
    """Wait until the next call is due at the steady rate, if there is one; returns the time at which it is due."""
    now_ns = time.perf_counter_ns()
    if not calls_per_second:
        return now_ns
    due_ns += 1_000_000_000 // calls_per_second
    time.sleep(max(0, due_ns - now_ns) / 1e9)
    return due_ns


def keys_of_calls(load: Load) -> Iterator[list[bytes]]:
    """The keys of each call, without end."""
    keys = itertools.cycle(load.keys) if load.keys else map(ASCENDING_KEY.__mod__, itertools.count())
    while True:
        yield list(itertools.islice(keys, load.batch))


def _reader(db: Client) -> Call:
    def read(keys: list[bytes]) -> None:
        if len(keys) == 1:
            db.get(keys[0], timeout=TIMEOUT_SECONDS)
        else:
            db.get_many(keys, timeout=TIMEOUT_SECONDS)

    return read


def _writer(db: Client, value_bytes: int) -> Call:
    value = np.random.default_rng(value_bytes).bytes(value_bytes)

    def write(keys: list[bytes]) -> None:
        if len(keys) == 1:
            db.put(keys[0], value, timeout=TIMEOUT_SECONDS)
        else:
            db.put_many(zip(keys, itertools.repeat(value), strict=False), timeout=TIMEOUT_SECONDS)

    return write
