"""What a run of the benchmarks was asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.records import RecordShape, records_of
from shardstore.memory_plan import WORKER_MEMORY_MIN
from shardstore.options import DEFAULT_MEMORY

TIMEOUT_SECONDS = 120.0
RANGES_PER_WORKER = 4
TOTAL_BYTES_MAX = 400_000_000
"""Data of one load, so that everything stays in memory on small machines and the log below what forces a drain."""
SAMPLE = 1_000


@dataclass(frozen=True, slots=True)
class Settings:
    """`n` records at most, medians of `runs`; stores are made below `data`, or in the temporary directory.

    `say` is told what happens now, `fail` what could not be measured, and why.
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
        """How many records of this shape: `n`, or as many as TOTAL_BYTES_MAX holds."""
        sample = records_of(shape, SAMPLE)
        return min(self.n, TOTAL_BYTES_MAX * SAMPLE // sum(map(len, sample.keys + sample.values)))

    @property
    def ranges(self) -> int:
        """Ranges of a new store, unless a workload needs others."""
        return RANGES_PER_WORKER * self.workers

    @property
    def memory(self) -> int:
        """Bytes a new store may buffer unless a workload needs others: the default, where it is enough."""
        return max(DEFAULT_MEMORY, self.workers * WORKER_MEMORY_MIN)

    def temporary_directory(self) -> tempfile.TemporaryDirectory[str]:
        """A new directory on the disk that is measured."""
        return tempfile.TemporaryDirectory(prefix="shardstore-bench-", dir=self.data)
