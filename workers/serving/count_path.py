"""Handles COUNT: counts the keys of a range that have a value, or estimates their number.

A count takes turns like the page of a scan (scan_path.py), a step in each turn, so that other requests wait only for
milliseconds. If one turn is not enough, it pins a view: it counts the range as it was in its first turn. A client that
gets no reply in time sends its request again; the count goes on, and the latest request gets the reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shardstore.errors import InvalidRequest
from shardstore.identifiers import RequestId
from shardstore.key_range import KeyRange
from shardstore.seams.effects import Send
from shardstore.tables.counting import count_step, estimated
from shardstore.wire.messages import CountReply, encode
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.range_view import PinnedView
from shardstore.workers.serving.hybrid_clock import HybridClock
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.requests import count_request_of, range_within

SORTED_A_TURN = 4_096
"""Keys of layers in memory that are sorted in one turn."""


@dataclass(slots=True)
class _Counting:
    """A count that needs more turns: what it has counted, and what it has still to count in its view."""

    pinned: PinnedView
    entries: int
    left: KeyRange


class CountPath:
    """All counts of a worker."""

    def __init__(self) -> None:
        self._begun: dict[RequestId, _Counting] = {}

    def count(
        self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], pressure: int, clock: HybridClock
    ) -> Send | None:
        """Reply to a COUNT; None if it needs another turn. Raises InvalidRequest, Corruption, StorageFailure."""
        if not asker.header.client:
            raise InvalidRequest("a count needs the client id that HELLO gives")
        request = count_request_of(frames)
        wanted = range_within(request.start, request.end, owned.key_range)
        if request.estimate:
            reply = CountReply(*estimated(owned.view().layers, wanted, clock.now_ms()))
        else:
            entries = self._counted(
                owned, RequestId(asker.header.client, asker.header.sequence), wanted, clock.now_ms()
            )
            if entries is None:
                return None
            reply = CountReply(entries)
        return asker.accept(pressure, (encode(reply),))

    def forget(self, asker: Asker) -> None:
        """Release what the count of a request holds, if that was refused."""
        begun = self._begun.pop(RequestId(asker.header.client, asker.header.sequence), None)
        if begun is not None:
            begun.pinned.release()

    def _counted(self, owned: OwnedRange, request: RequestId, wanted: KeyRange, now_ms: int) -> int | None:
        """The number of keys; None if it is not known after this turn."""
        begun = self._begun.get(request)
        now_ms = begun.pinned.now_ms if begun else now_ms
        view = begun.pinned.view if begun else owned.view()
        entries, left = (begun.entries, begun.left) if begun else (0, wanted)
        if view.sort(SORTED_A_TURN):
            counted = count_step(view.layers, left, now_ms)
            entries += counted.entries
            if counted.left is None:
                if begun:
                    del self._begun[request]
                    begun.pinned.release()
                return entries
            left = counted.left
        if begun is None:
            begun = self._begun[request] = _Counting(owned.pin(now_ms), entries, left)
        begun.entries, begun.left = entries, left
        return None
