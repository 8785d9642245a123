"""The core workloads of YCSB: the shares of operations, and the distribution of records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

SCAN_LENGTH_MAX = 100


class Kind(IntEnum):
    """The kind of an operation. The numbers index tables of functions."""

    READ = 0
    UPDATE = 1
    INSERT = 2
    SCAN = 3
    READ_MODIFY_WRITE = 4

    @property
    def label(self) -> str:
        """The name in tables and JSON."""
        return self.name.lower().replace("_", "-")


class Distribution(StrEnum):
    """The distribution that chooses the records of operations; see distributions.py."""

    ZIPFIAN = "zipfian"
    LATEST = "latest"
    UNIFORM = "uniform"
    HOTSPOT = "hotspot"


@dataclass(frozen=True, slots=True)
class Workload:
    """A mix of operations, with shares that sum to 1, and its default distribution."""

    description: str
    shares: Mapping[Kind, float]
    distribution: Distribution


WORKLOADS: Mapping[str, Workload] = {
    "a": Workload("update heavy", {Kind.READ: 0.5, Kind.UPDATE: 0.5}, Distribution.ZIPFIAN),
    "b": Workload("read mostly", {Kind.READ: 0.95, Kind.UPDATE: 0.05}, Distribution.ZIPFIAN),
    "c": Workload("read only", {Kind.READ: 1.0}, Distribution.ZIPFIAN),
    "d": Workload("read latest", {Kind.READ: 0.95, Kind.INSERT: 0.05}, Distribution.LATEST),
    "e": Workload("short ranges", {Kind.SCAN: 0.95, Kind.INSERT: 0.05}, Distribution.ZIPFIAN),
    "f": Workload("read-modify-write", {Kind.READ: 0.5, Kind.READ_MODIFY_WRITE: 0.5}, Distribution.ZIPFIAN),
}
