"""The board of a worker: gives a slot to each range that clients may read themselves."""

from __future__ import annotations

from shardstore.limits import BOARD_SLOTS
from shardstore.seams.boards import BoardMemory
from shardstore.wire.board_format import CLOCK_AT, MOVES_AT, slot_at
from shardstore.workers.board.filter_pool import FilterPool
from shardstore.workers.board.range_slot import RangeSlot


class WorkerBoard:
    """The slots in this memory. Without memory no range has a slot, and clients ask the worker for each key."""

    def __init__(self, memory: BoardMemory | None) -> None:
        self._slots: dict[int, tuple[int, RangeSlot]] = {}
        self._has_memory = memory is not None
        if memory is None:
            self._free: list[int] = []
            return
        self._words = memory.words
        self._filters = FilterPool(memory.filters)
        self._free = list(range(BOARD_SLOTS))[::-1]

    def slot_of(self, segment: int) -> RangeSlot | None:
        """Return the slot of a segment, or give it one; None if there is none left."""
        if segment in self._slots:
            return self._slots[segment][1]
        if not self._free:
            return None
        number = self._free.pop()
        slot = RangeSlot(self._words, slot_at(number), self._filters, segment)
        self._slots[segment] = number, slot
        self._count_move()
        return slot

    def free(self, segment: int) -> None:
        """Take the slot of a segment back."""
        if segment in self._slots:
            number, slot = self._slots.pop(segment)
            slot.close()
            self._free.append(number)
            self._count_move()

    def show_clock(self, now_ms: int) -> None:
        """Show the moment by which values expire, before any reply is judged by it."""
        if self._has_memory:
            self._words[CLOCK_AT] = now_ms

    def close(self) -> None:
        """Let clients ask for each key: the worker stops."""
        for _, slot in self._slots.values():
            slot.close()

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of a slot or of the filters does not hold."""
        slots = [slot for _, slot in self._slots.values()]
        for slot in slots:
            slot.check_invariants()
        if slots:
            self._filters.check_invariants([number for slot in slots for number in slot.filters])

    def _count_move(self) -> None:
        self._words[MOVES_AT] += 1
