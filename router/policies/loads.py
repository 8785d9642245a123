"""The load of the store as policies see it: its ranges and workers at one moment, as plain values.

**Busy** is a share of one worker's time, as the workers estimate it (wire/load_report.py); 1.0 is a worker without idle
time. A range is *settled* when its load was measured for SETTLED_NS and it is not changing. A worker is *steady* when
all its ranges are settled. The effect of a change on the load shows only then, so the policies let only steady workers
give or take load. Together with the cooldown, this keeps one measurement from causing two changes. **Bytes** are exact:
a range without reports counts with its share of its parents' bytes (router/load_table.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from shardstore.limits import SECOND_NS
from shardstore.router.policies.together import prefix_around

SETTLED_NS = 5 * SECOND_NS
"""The minimum time of a measurement; a shorter one depends too much on chance."""


class RangeLoad(NamedTuple):
    """One range of the route map, with the values of its latest report, or zeros.

    `end` is empty for the last range. `size_bytes` counts live data. `appends_per_s`: the puts at the right end.
    `keys`: a sample of keys, taken at equal steps of work. `last`: the highest known key; empty if there is none.
    `cuts`: keys that cut its bytes into pieces of about equal size. `measured_ns`: the time of the measurement.
    `changing`: it is a parent or child of a change under way. `known`: it or its parents have reported. `together`: the
    prefixes of the store whose keys are kept together; of `keys` and `cuts`, those within one count as the prefix.
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
    together: Sequence[bytes] = ()

    @property
    def append_share(self) -> float:
        """The share of puts that are at the right end."""
        return self.appends_per_s / self.puts_per_s if self.puts_per_s else 0.0

    @property
    def settled(self) -> bool:
        """Whether its load was measured for long enough, and it is not changing."""
        return not self.changing and self.measured_ns >= SETTLED_NS

    def can_split_at(self, key: bytes) -> bool:
        """Whether the key lies inside the range and not in what is kept together, so that a child can start there."""
        is_inside = self.start < key and (not self.end or key < self.end)
        return is_inside and prefix_around(self.together, key) is None


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """One worker. `up`: it may give and take ranges. `leaving`: it must give all its ranges away."""

    worker: int
    up: bool = True
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class StoreLoad:
    """The ranges in key order, the workers, and the number of changes under way.

    `is_known`: whether the size of every range is known. `size_bytes_total`: the sum of these sizes.
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
        """The ranges that a worker owns, in key order."""
        return self._ranges_of[worker]

    def busy(self, worker: int) -> float:
        """The share of its time that a worker is busy."""
        return self._busy[worker]

    def size_bytes(self, worker: int) -> int:
        """The bytes that a worker stores."""
        return self._size_bytes[worker]

    def receivers(self) -> list[int]:
        """The workers that may get ranges."""
        return [one.worker for one in self.workers if one.up and not one.leaving]

    def steady(self) -> list[int]:
        """The receivers whose ranges are all settled."""
        return [worker for worker in self.receivers() if all(load.settled for load in self._ranges_of[worker])]

    def busy_mean(self) -> float:
        """How busy each receiver would be if the load were even."""
        return sum(self._busy.values()) / max(1, len(self.receivers()))

    def size_bytes_mean(self) -> float:
        """The bytes that each receiver would store if they were even."""
        return self.size_bytes_total / max(1, len(self.receivers()))
