"""What a phase is asked to do, as data that can be sent to client processes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Any

from shardstore import InvalidRequest
from shardstore.limits import VALUE_BYTES_MAX
from ycsb.values import VALUE_BYTES_MIN
from ycsb.workloads import WORKLOADS, Distribution, Kind, Workload


class Phase(StrEnum):
    """YCSB has two."""

    LOAD = "load"
    """Insert all records, in the order of their numbers."""
    RUN = "run"
    """Do the operations of the workload."""


class StoreName(StrEnum):
    """What can be measured."""

    SHARDSTORE = "shardstore"
    REDIS = "redis"


@dataclass(frozen=True, slots=True)
class Settings:
    """One phase. Records and values must be those that were loaded when a run follows its load.

    url            of the cluster, or of the Redis server: redis://host:port or unix:///path
    workload       "a" to "f"
    distribution   None: the one the workload is defined with
    hot_records, hot_operations   fractions, for hotspot
    operations     of a run, over all processes; or `seconds` instead. A load inserts `records`
    threads, tasks per process; with tasks, each process runs one asyncio loop and no further threads
    batch          operations in one call
    target         operations per second, over all processes; None: as fast as it goes
    verify         check every value that is read; values that are missing are always counted
    direct         past the router, to the workers that can be reached
    timeout        seconds for one call
    """

    url: str
    phase: Phase = Phase.RUN
    store: StoreName = StoreName.SHARDSTORE
    workload: str = "a"
    distribution: Distribution | None = None
    hot_records: float = 0.2
    hot_operations: float = 0.8
    records: int = 100_000
    operations: int | None = None
    seconds: float | None = None
    fields: int = 10
    field_bytes: int = 100
    seed: int = 1
    processes: int = 1
    threads: int = 1
    tasks: int = 0
    batch: int = 1
    target: float | None = None
    verify: bool = False
    direct: bool = True
    timeout: float = 30.0

    @property
    def mix(self) -> Workload:
        """The workload itself."""
        return WORKLOADS[self.workload]

    @property
    def chosen_distribution(self) -> Distribution:
        """The distribution that is used."""
        return self.distribution or self.mix.distribution

    @property
    def value_bytes(self) -> int:
        """A value is all fields of a record, one behind the other; an update writes all of them."""
        return self.fields * self.field_bytes

    @property
    def runners_per_process(self) -> int:
        """Threads or tasks."""
        return self.tasks or self.threads

    @property
    def runners(self) -> int:
        """Threads or tasks of all processes."""
        return self.processes * self.runners_per_process

    @property
    def operations_expected(self) -> int | None:
        """How many operations the phase does; None when time ends it."""
        return self.records if self.phase is Phase.LOAD else self.operations

    def check(self) -> None:
        """Raise InvalidRequest for what cannot be done."""
        for wrong, why in self._mistakes():
            if wrong:
                raise InvalidRequest(why)

    def to_json(self) -> dict[str, Any]:
        """All settings by name, with what was left to the workload filled in."""
        return dataclasses.asdict(self) | {"distribution": self.chosen_distribution, "value_bytes": self.value_bytes}

    def _mistakes(self) -> list[tuple[bool, str]]:
        runs = self.phase is Phase.RUN
        scans = runs and self.workload in WORKLOADS and Kind.SCAN in self.mix.shares
        counts = (self.records, self.fields, self.field_bytes, self.processes, self.threads, self.batch)
        fractions = (self.hot_records, self.hot_operations)
        return [
            (self.workload not in WORKLOADS, f"no workload {self.workload!r}: there are {', '.join(WORKLOADS)}"),
            (min(counts) < 1 or self.tasks < 0, "records, fields, processes, threads and batch are at least 1"),
            (not all(0 < fraction <= 1 for fraction in fractions), "fractions are above 0 and at most 1"),
            (
                not VALUE_BYTES_MIN <= self.value_bytes <= VALUE_BYTES_MAX,
                f"a record, which is fields times field-bytes, has {VALUE_BYTES_MIN} to {VALUE_BYTES_MAX:,} bytes, "
                f"not {self.value_bytes:,}",
            ),
            (self.tasks > 0 and self.threads > 1, "runners are threads or tasks, not both"),
            (self.target is not None and not 0 < self.target < inf, "the target is above 0 operations per second"),
            (runs and (self.operations is None) == (self.seconds is None), "a run needs operations or seconds"),
            (runs and self.operations is not None and self.operations < 1, "a run does at least 1 operation"),
            (runs and self.seconds is not None and not 0 < self.seconds < inf, "a run takes more than 0 seconds"),
            (scans and self.batch > 1, "scans have no batches: workload e goes with batches of 1 only"),
            (
                scans and self.store is StoreName.REDIS,
                "Redis has no ordered scan over its keys: workload e cannot be run against it",
            ),
        ]
