"""Lazy items are the slices of their data, in any order and part, and copied only when they are read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shardstore.tables.lazy_items import LazyItems

DATA = b"one,three,,seventeen"
BEGINS, ENDS = [0, 4, 10, 11], [3, 9, 10, 20]
ITEMS = [b"one", b"three", b"", b"seventeen"]


class Counted:
    """Data that counts how often it is cut."""

    def __init__(self) -> None:
        self.cuts = 0

    def __getitem__(self, at: slice) -> bytes:
        self.cuts += 1
        return DATA[at]


def test_they_are_a_sequence_of_the_slices() -> None:
    items = LazyItems(DATA, BEGINS, ENDS)
    assert len(items) == 4
    assert list(items) == ITEMS
    assert [items[at] for at in (0, 3, -1)] == [b"one", b"seventeen", b"seventeen"]
    with pytest.raises(IndexError):
        items[4]


def test_a_part_of_them_is_lazy_too() -> None:
    data = Counted()
    backward = LazyItems(data, BEGINS, ENDS)[::-1][1:]
    assert isinstance(backward, LazyItems)
    assert data.cuts == 0
    assert list(backward) == [b"", b"three", b"one"]


def test_each_is_cut_when_it_is_read() -> None:
    data = Counted()
    items: Iterator[bytes] = iter(LazyItems(data, BEGINS, ENDS))
    assert data.cuts == 0
    next(items)
    assert data.cuts == 1
