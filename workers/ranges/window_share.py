"""The memory that the dedup windows of a worker may take, divided among them.

A window takes its place for each client, and of what it shares with other windows its part. When all of them together
take too much, the large ones give way (max-min): none is made smaller than another one that was left as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from shardstore.limits import SECOND_NS
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.known_requests import PLACE_BYTES

MINUTE_NS = 60 * SECOND_NS


def fair_share(sizes: Iterable[int], bytes_max: int) -> int:
    """The most that each may take so that all together take no more, if who takes less keeps what it has."""
    ascending = sorted(sizes)
    for at, size in enumerate(ascending):
        fair_bytes = bytes_max // (len(ascending) - at)
        if size > fair_bytes:
            return fair_bytes
        bytes_max -= size
    return max(ascending, default=0)


def sizes_of(windows: Collection[DedupWindow]) -> list[int]:
    """What each takes, with its part of what it shares."""
    sharers = Counter(known for window in windows for known in window.clients)
    return [
        sum([PLACE_BYTES + (known.size_bytes - PLACE_BYTES) // sharers[known] for known in window.clients])
        for window in windows
    ]


class WindowShare:
    """Keeps windows within `bytes_max`, and lets them grow old. `used_bytes` is what they take, as last measured."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.used_bytes = 0
        self._shared_bytes = 0
        self._minute_from_ns: int | None = None

    def pass_time(self, windows: Collection[DedupWindow], now_ns: int) -> None:
        """Measure the windows; make them smaller if they take too much."""
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
        """Leave some room, so that this is not to be done again at once."""
        fair_bytes = fair_share(sizes, self.bytes_max - self.bytes_max // 8)
        for window, size in zip(windows, sizes, strict=True):
            if size > fair_bytes:
                window.shrink(window.size_bytes * fair_bytes // size)
