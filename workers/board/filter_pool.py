"""The filters of a board. A slot takes one when it needs it, and gives it back once no slot names it any more."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from shardstore.wire.board_format import FILTER_BYTES

_NO_BITS = bytes(FILTER_BYTES)


class FilterPool:
    """The filters in this memory, by number."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._free = list(range(len(memory) // FILTER_BYTES))

    def take(self) -> int | None:
        """Take a filter without bits; None if all are in use."""
        if not self._free:
            return None
        number = self._free.pop()
        self.bits(number)[:] = _NO_BITS
        return number

    def give_back(self, number: int) -> None:
        """Note that no slot names this filter any more."""
        assert number not in self._free, "a filter is given back twice"
        self._free.append(number)

    def bits(self, number: int) -> memoryview:
        """Return the bytes of a filter."""
        return self._memory[number * FILTER_BYTES : (number + 1) * FILTER_BYTES]

    def add(self, number: int, more: int) -> None:
        """Set in a filter all bits of another one."""
        bits = np.frombuffer(self.bits(number), dtype=np.uint8)
        np.bitwise_or(bits, np.frombuffer(self.bits(more), dtype=np.uint8), out=bits)

    def check_invariants(self, named: Iterable[int]) -> None:
        """Raise AssertionError if an invariant of this class does not hold. `named`: the filters that slots name."""
        every = list(range(len(self._memory) // FILTER_BYTES))
        assert sorted([*self._free, *named]) == every, "a filter is lost, or is free or another slot's as well"
