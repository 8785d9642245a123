"""The settings of a phase, as data that can be sent to client processes."""

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
    """The two phases of YCSB."""

    LOAD = "load"
    """Insert all records, in the order of their numbers."""
    RUN = "run"
    """Do the operations of the workload."""


class StoreName(StrEnum):
    """The stores that can be measured."""

    SHARDSTORE = "shardstore"
    REDIS = "redis"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one phase. A run must have the same records and fields as the load before it.

    url            of the cluster, or of the Redis server: redis://host:port or unix:///path
    workload       "a" to "f"
    distribution   None: the one in the definition of the workload
    hot_records, hot_operations   fractions, for hotspot
    operations     of a run, in all processes; or `seconds` instead. A load inserts `records`
    threads, tasks per process; with tasks, each process runs one asyncio loop and no other threads
    batch          operations in one call
    target         operations per second of all processes; None: no limit
    verify         check every value that is read; missing values are always counted
    direct         connect directly to the workers that can be reached
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
        """The definition of the workload."""
        return WORKLOADS[self.workload]

    @property
    def chosen_distribution(self) -> Distribution:
        """The distribution to use."""
        return self.distribution or self.mix.distribution

    @property
    def value_bytes(self) -> int:
        """The bytes of a value: all fields of a record in sequence, which an update writes together."""
        return self.fields * self.field_bytes

    @property
    def runners_per_process(self) -> int:
        """The number of threads or tasks of a process."""
        return self.tasks or self.threads

    @property
    def runners(self) -> int:
        """The number of threads or tasks of all processes."""
        return self.processes * self.runners_per_process

    @property
    def operations_expected(self) -> int | None:
        """The number of operations of the phase; None if it ends by time."""
        return self.records if self.phase is Phase.LOAD else self.operations

    def check(self) -> None:
        """Raise InvalidRequest if the settings are not valid."""
        for wrong, why in self._mistakes():
            if wrong:
                raise InvalidRequest(why)

    def to_json(self) -> dict[str, Any]:
        """All settings by name, including those that follow from others."""
        return dataclasses.asdict(self) | {"distribution": self.chosen_distribution, "value_bytes": self.value_bytes}

    def _mistakes(self) -> list[tuple[bool, str]]:
        runs = self.phase is Phase.RUN
        scans = runs and self.workload in WORKLOADS and Kind.SCAN in self.mix.shares
        counts = (self.records, self.fields, self.field_bytes, self.processes, self.threads, self.batch)
        fractions = (self.hot_records, self.hot_operations)
        return [
            (
                self.workload not in WORKLOADS,
                f"there is no workload {self.workload!r}; the workloads are {', '.join(WORKLOADS)}",
            ),
            (
                min(counts) < 1 or self.tasks < 0,
                "records, fields, field-bytes, processes, threads and batch are at least 1, and tasks at least 0",
            ),
            (not all(0 < fraction <= 1 for fraction in fractions), "fractions are above 0 and at most 1"),
            (
                not VALUE_BYTES_MIN <= self.value_bytes <= VALUE_BYTES_MAX,
                f"a value, fields times field-bytes, has {VALUE_BYTES_MIN} to {VALUE_BYTES_MAX:,} bytes, "
                f"not {self.value_bytes:,}",
            ),
            (self.tasks > 0 and self.threads > 1, "runners are threads or tasks, not both"),
            (self.target is not None and not 0 < self.target < inf, "the target is above 0 operations per second"),
            (runs and (self.operations is None) == (self.seconds is None), "a run needs either operations or seconds"),
            (runs and self.operations is not None and self.operations < 1, "a run does at least 1 operation"),
            (runs and self.seconds is not None and not 0 < self.seconds < inf, "a run takes more than 0 seconds"),
            (scans and self.batch > 1, "scans have no batches: workload e needs a batch of 1"),
            (
                scans and self.store is StoreName.REDIS,
                "Redis has no ordered scan of its keys: workload e cannot run on it",
            ),
        ]
