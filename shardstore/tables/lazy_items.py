"""Items of a mapped file that are copied out of it one by one, each when it is read.

A list of large items is copied at once, into memory that is not in a cache of the processor, or not even there yet. A
loop that drops each item before it takes the next one gets every copy in the same few pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

from shardstore.limits import KIB

LAZY_BYTES_MIN = KIB
"""Smaller items are cut in less time all at once."""


class LazyItems(Sequence[bytes]):
    """The items of `data` that lie between `begins` and `ends`. A slice of `data` is bytes, as that of a map."""

    __slots__ = ("_begins", "_data", "_ends")

    def __init__(self, data: Any, begins: list[int], ends: list[int]) -> None:
        self._data = data
        self._begins = begins
        self._ends = ends

    def __len__(self) -> int:
        return len(self._begins)

    def __iter__(self) -> Iterator[bytes]:
        """Iterate without bytecode for each item."""
        return map(self._data.__getitem__, map(slice, self._begins, self._ends))

    @overload
    def __getitem__(self, at: int) -> bytes: ...

    @overload
    def __getitem__(self, at: slice) -> LazyItems: ...

    def __getitem__(self, at: int | slice) -> bytes | LazyItems:
        if isinstance(at, slice):
            return LazyItems(self._data, self._begins[at], self._ends[at])
        item: bytes = self._data[self._begins[at] : self._ends[at]]
        return item
