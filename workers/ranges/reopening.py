"""Tries again, for ever, to open the ranges that the disk kept from being opened. Damage is not tried again.

Meanwhile the range answers Unavailable with the reason, the log is kept for it, and all other ranges are served. Once
its segment can be opened the worker stops, to be started again: a start replays the log into the range, within the
worker's share of memory.
"""

from __future__ import annotations

from collections.abc import Iterable

from shardstore.errors import Unavailable
from shardstore.limits import SECOND_NS
from shardstore.seams.effects import Effect, Stop
from shardstore.seams.filesystem import Filesystem
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.range_opener import can_be_opened

FIRST_PAUSE_NS = SECOND_NS
LONGEST_PAUSE_NS = 60 * SECOND_NS


class Reopening:
    """The tries of one worker. Pauses between them double, up to the longest."""

    def __init__(self, filesystem: Filesystem, store: str) -> None:
        self._filesystem = filesystem
        self._store = store
        self._pause_ns = FIRST_PAUSE_NS
        self._due_ns: int | None = None
        """When the next try is due; None until the first look."""

    def pass_time(self, ranges: Iterable[OwnedRange], now_ns: int) -> list[Effect]:
        """Try the ranges that are not open, if it is time. Returns a Stop if one of them can be opened now."""
        closed = [owned.segment_id for owned in ranges if isinstance(owned.damage, Unavailable)]
        if not closed:
            return []
        if self._due_ns is None:
            self._due_ns = now_ns + self._pause_ns
        if now_ns < self._due_ns:
            return []
        self._pause_ns = min(2 * self._pause_ns, LONGEST_PAUSE_NS)
        self._due_ns = now_ns + self._pause_ns
        for segment in closed:
            if can_be_opened(self._filesystem, self._store, segment):
                return [Stop(f"segment {segment} can be opened again: its log is to be replayed")]
        return []
