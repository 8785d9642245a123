"""The settings of a benchmark run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.records import RecordShape, records_of
from shardstore.memory_plan import DEFAULT_MEMORY, WORKER_MEMORY_MIN
from shardstore.options import parse_size

TIMEOUT_SECONDS = 120.0
RANGES_PER_WORKER = 4
TOTAL_BYTES_MAX = 400_000_000
"""Maximum data of a load. It fits into the memory of small machines, and its log is too short to force a drain."""
SAMPLE = 1_000
TASKS = 64
THREADS = 16
"""Callers of single operations in one process, of the store and of peers."""


@dataclass(frozen=True, slots=True)
class Settings:
    """At most `n` records, medians of `runs` runs. Stores are made below `data` or in the temporary directory.

    `say` takes a line about what is being measured; `fail` takes the name of what could not be measured, and the error.
    """

    n: int
    workers: int
    runs: int
    shapes: tuple[RecordShape, ...]
    data: str | None
    peers: tuple[str, ...]
    say: Callable[[str], None]
    fail: Callable[[str, Exception], None]

    def count(self, shape: RecordShape) -> int:
        """The number of records of this shape: `n`, or as many as fit into TOTAL_BYTES_MAX."""
        sample = records_of(shape, SAMPLE)
        return min(self.n, TOTAL_BYTES_MAX * SAMPLE // sum(map(len, sample.keys + sample.values)))

    @property
    def ranges(self) -> int:
        """The number of ranges of a new store, unless a workload needs another."""
        return RANGES_PER_WORKER * self.workers

    @property
    def memory(self) -> int:
        """Memory of a new store in bytes unless a workload sets it: the default, or the minimum for the workers."""
        return max(parse_size(DEFAULT_MEMORY), self.workers * WORKER_MEMORY_MIN)

    def temporary_directory(self) -> tempfile.TemporaryDirectory[str]:
        """A new temporary directory on the disk to be measured."""
        return tempfile.TemporaryDirectory(prefix="shardstore-bench-", dir=self.data)
