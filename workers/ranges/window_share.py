"""Divides the memory for dedup windows among the windows of a worker.

A record that several windows share is charged to them in equal parts; each pays for its own place. If all windows
together take too much, the largest are shrunk (max-min fairness): no window gets less than one that keeps its size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from shardstore.limits import SECOND_NS
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.known_requests import PLACE_BYTES

MINUTE_NS = 60 * SECOND_NS


def fair_share(sizes: Iterable[int], bytes_max: int) -> int:
    """The maximum size of each so that all together fit in `bytes_max`, when smaller ones keep their size."""
    ascending = sorted(sizes)
    for at, size in enumerate(ascending):
        fair_bytes = bytes_max // (len(ascending) - at)
        if size > fair_bytes:
            return fair_bytes
        bytes_max -= size
    return max(ascending, default=0)


def sizes_of(windows: Collection[DedupWindow]) -> list[int]:
    """The memory that each window takes, including its part of what it shares."""
    sharers = Counter(known for window in windows for known in window.clients)
    return [
        sum([PLACE_BYTES + (known.size_bytes - PLACE_BYTES) // sharers[known] for known in window.clients])
        for window in windows
    ]


class WindowShare:
    """Keeps windows within `bytes_max`, and ages them. `used_bytes` is the memory that they took when last measured."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.used_bytes = 0
        self._shared_bytes = 0
        self._minute_from_ns: int | None = None

    def pass_time(self, windows: Collection[DedupWindow], now_ns: int) -> None:
        """Age the windows when a minute is over, measure them, and shrink them if they take too much."""
        self._minute_from_ns = now_ns if self._minute_from_ns is None else self._minute_from_ns
        if now_ns - self._minute_from_ns >= MINUTE_NS:
            self._minute_from_ns = now_ns
            self._shared_bytes = 0
            for window in windows:
                window.pass_minute()
        self.used_bytes = max(0, sum([window.size_bytes for window in windows]) - self._shared_bytes)
        if self.used_bytes > self.bytes_max:
            sizes = self._measure(windows)
            if self.used_bytes > self.bytes_max:
                self._shrink(windows, sizes)
                self._measure(windows)

    def _measure(self, windows: Collection[DedupWindow]) -> list[int]:
        sizes = sizes_of(windows)
        self.used_bytes = sum(sizes)
        self._shared_bytes = sum([window.size_bytes for window in windows]) - self.used_bytes
        return sizes

    def _shrink(self, windows: Collection[DedupWindow], sizes: Sequence[int]) -> None:
        """Shrink the largest windows, and leave some room, so that this need not be repeated at once."""
        fair_bytes = fair_share(sizes, self.bytes_max - self.bytes_max // 8)
        for window, size in zip(windows, sizes, strict=True):
            if size > fair_bytes:
                window.shrink(window.size_bytes * fair_bytes // size)
