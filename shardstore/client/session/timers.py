"""Timers. Times are rounded up to a tick, so that setting or clearing one takes a few dict operations."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Protocol

_TICK_BITS = 21
"""A tick is 2**21 ns, about 2 ms."""


class Timed(Protocol):
    """Something that can have a timer. `due_tick` is the tick at which it is due; 0 if it has no timer."""

    due_tick: int


class Timers:
    """At most one timer for each item. A timer is never early, and at most a tick late.

    Invariants: an item with a timer is under its `due_tick`, and nowhere else; `_ticks` is a heap of the keys of
    `_items`.
    """

    def __init__(self) -> None:
        self._items: dict[int, dict[Timed, None]] = {}
        self._ticks: list[int] = []

    def set(self, item: Timed, due_ns: int) -> None:
        """Make the item due at this time. This replaces its timer, if it has one."""
        if item.due_tick:
            del self._items[item.due_tick][item]
        tick = item.due_tick = (due_ns >> _TICK_BITS) + 1
        try:
            self._items[tick][item] = None
        except KeyError:
            self._items[tick] = {item: None}
            heappush(self._ticks, tick)

    def set_no_later(self, item: Timed, due_ns: int) -> None:
        """Make the item due at this time, unless it is due earlier."""
        if not 0 < item.due_tick <= (due_ns >> _TICK_BITS) + 1:
            self.set(item, due_ns)

    def clear(self, item: Timed) -> None:
        """Remove the item's timer, if it has one."""
        if item.due_tick:
            del self._items[item.due_tick][item]
            item.due_tick = 0

    @staticmethod
    def tick_of(due_ns: int) -> int:
        """The tick at which an item is due that was set for this time."""
        return (due_ns >> _TICK_BITS) + 1

    def take_due(self, now_ns: int) -> list[Timed]:
        """Take the items that are due, in the order of their times. Their timers are removed."""
        due: list[Timed] = []
        while self._ticks and self._ticks[0] << _TICK_BITS <= now_ns:
            due.extend(self._items.pop(heappop(self._ticks)))
        for item in due:
            item.due_tick = 0
        return due

    def wakeup_ns(self) -> int | None:
        """When the next item is due; None if there is none."""
        ticks, items = self._ticks, self._items
        while ticks:
            if items[ticks[0]]:
                return ticks[0] << _TICK_BITS
            del items[heappop(ticks)]
        return None

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        ticks, items = self._ticks, self._items
        assert items.keys() == {*ticks}, "a tick is missing in the heap"
        assert len(ticks) == len(items), "a tick is in the heap twice"
        assert all(ticks[(at - 1) // 2] <= ticks[at] for at in range(1, len(ticks))), "the heap is out of order"
        for tick, due in items.items():
            assert all(item.due_tick == tick for item in due), "an item has a timer that it does not know"
