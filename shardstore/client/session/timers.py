"""Timers. Times are rounded up to a grain (a tick), so that setting or clearing one takes a few dict operations."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Protocol

_GRAIN_BITS = 21
"""A grain is 2**21 ns, about 2 ms."""


class Timed(Protocol):
    """Something that can have a timer. `grain` is the tick at which it is due; 0 if it has no timer."""

    grain: int


class Timers:
    """At most one timer for each item. A timer is never early, and at most a grain late.

    Invariants: an item with a timer is under its `grain`, and nowhere else; `_grains` is a heap of the keys of
    `_items`.
    """

    def __init__(self) -> None:
        self._items: dict[int, dict[Timed, None]] = {}
        self._grains: list[int] = []

    def set(self, item: Timed, due_ns: int) -> None:
        """Make the item due at this time. This replaces its timer, if it has one."""
        if item.grain:
            del self._items[item.grain][item]
        grain = item.grain = (due_ns >> _GRAIN_BITS) + 1
        items = self._items.get(grain)
        if items is None:
            items = self._items[grain] = {}
            heappush(self._grains, grain)
        items[item] = None

    def clear(self, item: Timed) -> None:
        """Remove the item's timer, if it has one."""
        if item.grain:
            del self._items[item.grain][item]
            item.grain = 0

    def take_due(self, now_ns: int) -> list[Timed]:
        """Take the items that are due, in the order of their times. Their timers are removed."""
        due: list[Timed] = []
        while self._grains and self._grains[0] << _GRAIN_BITS <= now_ns:
            due.extend(self._items.pop(heappop(self._grains)))
        for item in due:
            item.grain = 0
        return due

    def wakeup_ns(self) -> int | None:
        """When the next item is due; None if there is none."""
        while self._grains and not self._items[self._grains[0]]:
            del self._items[heappop(self._grains)]
        return self._grains[0] << _GRAIN_BITS if self._grains else None

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        grains, items = self._grains, self._items
        assert items.keys() == {*grains}, "a grain is missing in the heap"
        assert len(grains) == len(items), "a grain is in the heap twice"
        assert all(grains[(at - 1) // 2] <= grains[at] for at in range(1, len(grains))), "the heap is out of order"
        for grain, due in items.items():
            assert all(item.grain == grain for item in due), "an item has a timer that it does not know"
