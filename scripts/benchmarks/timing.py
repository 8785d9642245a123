"""Functions that time work and return figures.

Figures are numbers by name. The name includes the unit: per_second, settled_per_second, seconds, p50_us, p99_us, ...
"""

from __future__ import annotations

import gc
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TypeAlias

WARM_UP_OPERATIONS = 100
Figures: TypeAlias = dict[str, float]


def rate(count: int, work: Callable[[], object]) -> Figures:
    """The rate at which `work` does `count` things."""
    with _nothing_old_collected():
        started = time.perf_counter()
        work()
        ended = time.perf_counter()
    return rate_of(count, ended - started)


def rate_of(count: int, seconds: float) -> Figures:
    """The figures of `count` things done in `seconds` seconds."""
    return {"seconds": seconds, "per_second": count / seconds}


def latency(operations: Iterator[object]) -> Figures:
    """Time each step of the iterator, after WARM_UP_OPERATIONS untimed steps."""
    times_ns = []
    with _nothing_old_collected():
        deque(islice(operations, WARM_UP_OPERATIONS), maxlen=0)
        started = time.perf_counter_ns()
        for _ in operations:
            ended = time.perf_counter_ns()
            times_ns.append(ended - started)
            started = ended
    return latency_of(times_ns)


def latency_of(times_ns: Sequence[int]) -> Figures:
    """The median, p99 and rate of operations that ran one after the other."""
    return rate_of(len(times_ns), sum(times_ns) / 1e9) | {
        "p50_us": percentile(times_ns, 50) / 1_000,
        "p99_us": percentile(times_ns, 99) / 1_000,
    }


def percentile(times: Sequence[float], percent: int) -> float:
    """The time that `percent` percent of the operations did not exceed."""
    ordered = sorted(times)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def medians(runs: Sequence[Figures]) -> Figures:
    """The median of each figure over the runs."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


@contextmanager
def _nothing_old_collected() -> Iterator[None]:
    """Keep existing objects, such as the records, out of garbage collections while the clock runs."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
