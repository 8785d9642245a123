"""What policies see of the store: its ranges and its workers at one moment, as plain values.

**Busy** is the share of one worker's time, by the workers' estimate (wire/load_report.py): 1.0 is a worker that
has no time left. Figures of load are believed once they are SETTLED_NS old; a worker is *steady* when that holds for
all its ranges and none of them is changing. What a change does to the load shows only then, so nobody decides for a
worker that is not steady to give or to take more load: this, with the cooldown, keeps one measure from causing two
changes. **Bytes** are exact: until a range has reported, what its parents had stands for it (router/load_table.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from shardstore.limits import SECOND_NS

SETTLED_NS = 5 * SECOND_NS
"""Rates over less time are those of what happened to come."""


class RangeLoad(NamedTuple):
    """One range of the route map, with the newest figures of it; zero where there are none.

    `end` is empty for the last range. `size_bytes`: what is alive. `appends_per_s`: of the puts, those at the right
    end. `keys`: sampled at equal steps of work. `last`: the highest key known, empty for none. `cuts`: keys that cut
    its bytes into parts of about the same size. `changing`: it is parent or child of a change that is under way.
    `known`: it has reported, or its parents have.
    """

    segment: int
    start: bytes
    end: bytes
    worker: int
    size_bytes: int = 0
    entries: int = 0
    busy: float = 0.0
    operations_per_s: int = 0
    puts_per_s: int = 0
    appends_per_s: int = 0
    keys: Sequence[bytes] = ()
    last: bytes = b""
    cuts: Sequence[bytes] = ()
    measured_ns: int = 0
    changing: bool = False
    known: bool = True

    @property
    def append_share(self) -> float:
        """Of the keys put, those at the right end."""
        return self.appends_per_s / self.puts_per_s if self.puts_per_s else 0.0

    @property
    def settled(self) -> bool:
        """Whether its figures say how it is."""
        return not self.changing and self.measured_ns >= SETTLED_NS

    def can_split_at(self, key: bytes) -> bool:
        """Whether a range may end and another start at this key, inside this one."""
        return self.start < key and (not self.end or key < self.end)


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """One worker. `leaving`: it is to own nothing."""

    worker: int
    up: bool = True
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class StoreLoad:
    """The ranges in key order, the workers, and how many changes are under way.

    `is_known`: whether the size of each range is known. `size_bytes_total`: of all of them.
    """

    ranges: Sequence[RangeLoad]
    workers: Sequence[WorkerLoad]
    changes: int = 0
    is_known: bool = field(init=False, repr=False, compare=False)
    size_bytes_total: int = field(init=False, repr=False, compare=False)
    _ranges_of: dict[int, list[RangeLoad]] = field(init=False, repr=False, compare=False)
    _busy: dict[int, float] = field(init=False, repr=False, compare=False)
    _size_bytes: dict[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_worker: dict[int, list[RangeLoad]] = {worker.worker: [] for worker in self.workers}
        for load in self.ranges:
            by_worker.setdefault(load.worker, []).append(load)
        busy = {worker: sum(load.busy for load in owned) for worker, owned in by_worker.items()}
        size_bytes = {worker: sum(load.size_bytes for load in owned) for worker, owned in by_worker.items()}
        object.__setattr__(self, "is_known", all(load.known for load in self.ranges))
        object.__setattr__(self, "size_bytes_total", sum(size_bytes.values()))
        object.__setattr__(self, "_ranges_of", by_worker)
        object.__setattr__(self, "_busy", busy)
        object.__setattr__(self, "_size_bytes", size_bytes)

    def ranges_of(self, worker: int) -> Sequence[RangeLoad]:
        """What a worker owns, in key order."""
        return self._ranges_of[worker]

    def busy(self, worker: int) -> float:
        """The share of its time that a worker is busy."""
        return self._busy[worker]

    def size_bytes(self, worker: int) -> int:
        """The bytes that a worker stores."""
        return self._size_bytes[worker]

    def receivers(self) -> list[int]:
        """Workers that may be given ranges."""
        return [one.worker for one in self.workers if one.up and not one.leaving]

    def steady(self) -> list[int]:
        """Receivers of which it is known how busy they are."""
        return [worker for worker in self.receivers() if all(load.settled for load in self._ranges_of[worker])]

    def busy_mean(self) -> float:
        """What each receiver would be busy if the load were even."""
        return sum(self._busy.values()) / max(1, len(self.receivers()))

    def size_bytes_mean(self) -> float:
        """What each receiver would store if the bytes were even."""
        return self.size_bytes_total / max(1, len(self.receivers()))
