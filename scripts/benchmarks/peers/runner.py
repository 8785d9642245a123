"""The work that peers are measured with. All data is checked; wrong data gives no figures.

put_many, put_many_synced   a new store: all records in batches, then the background work that they cause
    put, put_synced             a new store: one record after the other
    get_many, get, scan         a store that holds all records and is at rest; its writes were not synced
    get_threads, get_tasks      the same store, read by many threads or asyncio tasks at once
    disk                        the same store, compacted

Elsewhere one thread uses the peer and waits for each call. Batches are cut before the clock starts.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cached_property
from itertools import starmap
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers.peer import BATCH_ENTRIES, AsyncPeer, OpenPeer, Peer
from benchmarks.processes import SERVER, cpu_per_million, cpu_seconds_of_server
from benchmarks.records import Records
from benchmarks.settings import TASKS, THREADS
from benchmarks.timing import Figures, latency, medians, rate, rate_of

OPERATIONS_MAX = {"get": 20_000, "put": 20_000, "put_synced": 3_000}
"""Maximum number of single operations in a run."""
STAT_BLOCK_BYTES = 512


class WrongAnswer(Exception):
    """The peer did not return what was written."""


class Runner:
    """Measures one peer with the records, in new stores below `directory`."""

    def __init__(self, open_peer: OpenPeer, is_ordered: bool, records: Records, directory: Path, runs: int) -> None:
        self._open_peer = open_peer
        self._is_ordered = is_ordered
        self._records = records
        self._directory = directory
        self._runs = runs

    def measure(self, work: Sequence[str]) -> dict[str, Figures]:
        """The medians of the runs for each item of `work`."""
        _keep_out_of_collections()
        figures = {name: medians([self._write(name) for _ in range(self._runs)]) for name in work if name in WRITES}
        reads = [name for name in work if name in READS]
        if reads:
            with self._new_peer(synced=False) as peer:
                put_many(peer, self._records.keys, self._records.values)
                figures |= {name: medians([READS[name](self, peer) for _ in range(self._runs)]) for name in reads}
        return {name: figures[name] for name in work}

    def _write(self, name: str) -> Figures:
        entries = OPERATIONS_MAX.get(name, len(self._records.keys))
        keys, values = self._records.keys[:entries], self._records.values[:entries]
        with self._new_peer(synced=name.endswith("_synced")) as peer:
            os.sync()  # so that unwritten data of earlier runs is not written during this one
            figures = _with_cpu(peer, len(keys), lambda: WRITES[name](peer, keys, values))
            _expect(dict(peer.scan()) == dict(zip(keys, values, strict=True)), "a record is not what was written")
        return figures

    @contextmanager
    def _new_peer(self, synced: bool) -> Iterator[Peer]:
        with (
            TemporaryDirectory(dir=self._directory) as directory,
            closing(self._open_peer(Path(directory), synced)) as peer,
        ):
            yield peer

    def _disk(self, peer: Peer) -> Figures:
        peer.compact()
        (directory,) = self._directory.iterdir()
        return {"bytes_per_entry": allocated_bytes(directory) / len(self._records.keys)}

    @cached_property
    def _reads(self) -> tuple[list[bytes], list[bytes | None]]:
        return self._records.reads()

    def _get_many(self, peer: Peer) -> Figures:
        keys, expected = self._reads
        batches = _batches(keys)
        answers: list[bytes | None] = []
        figures = _with_cpu(
            peer, len(keys), lambda: rate(len(keys), lambda: _drain(map(answers.extend, map(peer.get_many, batches))))
        )
        _expect(answers == expected, "a key of a batch was read with another value than was written")
        return figures

    def _get(self, peer: Peer) -> Figures:
        hits = [(key, value) for key, value in zip(*self._reads, strict=True) if value is not None]
        keys, expected = zip(*hits[: OPERATIONS_MAX["get"]], strict=True)
        answers: list[bytes | None] = []
        figures = _with_cpu(peer, len(keys), lambda: latency(map(answers.append, map(peer.get, keys))))
        _expect(answers == list(expected), "a key was read with another value than was written")
        return figures

    def _get_threads(self, peer: Peer) -> Figures:
        parts = [self._records.keys[number::THREADS] for number in range(THREADS)]
        answers: list[list[bytes | None]] = []
        with ThreadPoolExecutor(THREADS) as pool:
            figures = _with_cpu(
                peer,
                len(self._records.keys),
                lambda: rate(
                    len(self._records.keys),
                    lambda: answers.extend(pool.map(lambda part: list(map(peer.get, part)), parts)),
                ),
            )
        _expect(
            answers == [self._records.values[number::THREADS] for number in range(THREADS)], "a thread read wrongly"
        )
        return figures

    def _get_tasks(self, peer: Peer) -> Figures:
        assert isinstance(peer, AsyncPeer), "there is no client for asyncio"
        return _with_cpu(peer, len(self._records.keys), lambda: asyncio.run(self._gather(peer)))

    async def _gather(self, peer: AsyncPeer) -> Figures:
        async with peer.reading_tasks() as get:

            async def get_part(number: int) -> list[bytes | None]:
                return [await get(key) for key in self._records.keys[number::TASKS]]

            started = time.perf_counter()
            answers = await asyncio.gather(*map(get_part, range(TASKS)))
            figures = rate_of(len(self._records.keys), time.perf_counter() - started)
        _expect(answers == [self._records.values[number::TASKS] for number in range(TASKS)], "a task read wrongly")
        return figures

    def _scan(self, peer: Peer) -> Figures:
        entries = len(self._records.keys)
        figures = _with_cpu(peer, entries, lambda: rate(entries, lambda: _count_to(entries, peer)))
        found = list(peer.scan())
        if not self._is_ordered:
            found.sort()
        expected = sorted(zip(self._records.keys, self._records.values, strict=True))
        _expect(found == expected, "a scan did not return what was written, in order")
        return figures


def allocated_bytes(directory: Path) -> int:
    """The disk space of the files below a directory."""
    return sum(path.stat().st_blocks * STAT_BLOCK_BYTES for path in directory.rglob("*") if path.is_file())


def put_many(peer: Peer, keys: Sequence[bytes], values: Sequence[bytes]) -> Figures:
    """Write all records in batches, and settle."""
    batches = list(zip(_batches(keys), _batches(values), strict=True))
    figures = rate(len(keys), lambda: _drain(starmap(peer.put_many, batches)))
    started = time.perf_counter()
    waited = peer.settle()
    settling = time.perf_counter() - started - waited
    return figures | {"settled_per_second": len(keys) / (figures["seconds"] + settling)}


def put(peer: Peer, keys: Sequence[bytes], values: Sequence[bytes]) -> Figures:
    """Write the records one after the other."""
    return latency(map(peer.put, keys, values))


WRITES: dict[str, Callable[[Peer, Sequence[bytes], Sequence[bytes]], Figures]] = {
    "put_many": put_many,
    "put_many_synced": put_many,
    "put": put,
    "put_synced": put,
}
READS = {
    "get_many": Runner._get_many,
    "scan": Runner._scan,
    "get": Runner._get,
    "get_threads": Runner._get_threads,
    "get_tasks": Runner._get_tasks,
    "disk": Runner._disk,
}
WORK = (*WRITES, *READS)
"""The names of all work that can be measured."""


def _keep_out_of_collections() -> None:
    """Keep the records out of garbage collections while the clock runs."""
    gc.collect()
    gc.freeze()


def _with_cpu(peer: Peer, keys: int, run: Callable[[], Figures]) -> Figures:
    before = _cpu_seconds(peer)
    figures = run()
    return figures | cpu_per_million(before, _cpu_seconds(peer), keys)


def _cpu_seconds(peer: Peer) -> dict[str, float]:
    """CPU seconds of this process, which is the client, and of the peer's servers with their ended children."""
    return {"client": time.process_time(), SERVER: sum(map(cpu_seconds_of_server, peer.servers))}


def _count_to(entries: int, peer: Peer) -> None:
    count = 0
    for _ in peer.scan():
        count += 1
    _expect(count == entries, f"a scan found {count} of {entries} records")


def _batches(column: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [column[at : at + BATCH_ENTRIES] for at in range(0, len(column), BATCH_ENTRIES)]


def _drain(calls: Iterator[object]) -> None:
    deque(calls, maxlen=0)


def _expect(right: bool, complaint: str) -> None:
    if not right:
        raise WrongAnswer(complaint)
