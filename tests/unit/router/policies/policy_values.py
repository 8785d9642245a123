"""Values for tests of policies: adjacent ranges, settled for long, with no reason for a change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardstore.limits import KIB, SECOND_NS
from shardstore.router.policies.history import History
from shardstore.router.policies.loads import RangeLoad, StoreLoad, WorkerLoad
from shardstore.topology_options import TopologyOptions

NOW_NS = 10_000 * SECOND_NS
UNIT = 10 * KIB
OPTIONS = TopologyOptions(split_bytes=100 * UNIT)
"""A size allowed for a range even in the smallest store, so that its limit does not depend on the others."""
COOLED_DOWN = History(0)
"""A history without recent changes."""


def sample(first: int, last: int, count: int = 32) -> tuple[bytes, ...]:
    """Keys spread evenly over "k<first>" .. "k<last>", in random-looking order."""
    keys = [b"k%04d" % (first + (last - first) * at // (count - 1)) for at in range(count)]
    return tuple(keys[at * 5 % count] for at in range(count))


def store(*ranges: dict[str, Any], workers: int | Sequence[WorkerLoad] = 2, changes: int = 0) -> StoreLoad:
    """The loads of segments 1, 2, ..., each of a hundred keys from "k0000" on."""
    members = [WorkerLoad(worker) for worker in range(workers)] if isinstance(workers, int) else workers
    count = len(ranges)
    loads = []
    for at, figures in enumerate(ranges):
        start = b"k%04d" % (at * 100) if at else b""
        end = b"k%04d" % (at * 100 + 100) if at < count - 1 else b""
        known = {"worker": 0, "measured_ns": 1_000 * SECOND_NS}
        loads.append(RangeLoad(at + 1, start, end, **(known | figures)))
    return StoreLoad(loads, members, changes)


def hot(busy: float, *keys: bytes, **figures: Any) -> dict[str, Any]:
    """The load of a range that is this busy, at these keys."""
    return {"busy": busy, "operations_per_s": int(busy * 50_000), "keys": keys, **figures}
