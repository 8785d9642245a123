"""What the classes of a range promise is checked: the check finds each promise that is broken by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shardstore.identifiers import RequestId
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.tables.empty_ranges import EMPTY_RANGES_MAX, EmptyRanges
from shardstore.workers.ranges.dedup import DedupWindow, WindowLimits
from shardstore.workers.ranges.known_requests import KnownRequests
from shardstore.workers.ranges.results import Taken


@pytest.fixture
def window() -> DedupWindow:
    """Two clients. Of the first there are two chapters, an open span and two values; nothing is durable."""
    window = DedupWindow(WindowLimits(spans=2, clients=3, values=2))
    for sequence in (1, 3, 5, 7, 9, 11):
        window.note(RequestId(7, sequence), sequence, 0, b"1")
    window.note(RequestId(8, 1), 12, 0)
    return window


def first(window: DedupWindow) -> KnownRequests:
    return window._clients[7]


def take(window: DedupWindow, *sequences: int) -> None:
    first(window).taken = tuple((sequence, Taken(b"k", b"")) for sequence in sequences)
    window.size_bytes = sum([known.size_bytes for known in window.clients])


def limit(window: DedupWindow, **limits: int) -> None:
    window._limits = window._limits._replace(**limits)


BREAKS: dict[str, Callable[[DedupWindow], object]] = {
    # DedupWindow
    "too many clients are known": lambda window: limit(window, clients=1),
    "the memory of clients is miscounted": lambda window: setattr(window, "size_bytes", 0),
    "the window takes too much memory": lambda window: limit(window, bytes_max=1),
    "the client that was silent longest is not the first": lambda window: setattr(first(window), "minute", 1),
    "requests that a crash could undo are out of order": lambda window: window._unsynced.reverse(),
    # KnownRequests
    "spans overlap or descend": lambda window: setattr(first(window), "first", 1),
    "a chapter ends elsewhere": lambda window: setattr(first(window), "older_last", 6),
    "spans are miscounted, or too many": lambda window: setattr(first(window), "spans", 0),
    "what was forgotten lies above the newest": lambda window: setattr(first(window), "floor", 12),
    "the newest is neither known nor forgotten": lambda window: setattr(first(window), "kind", -1),
    "too many values are kept": lambda window: limit(window, values=1),
    "values are out of order": lambda window: setattr(first(window), "values", b" 11:1 9:1"),
    "what was taken is out of order": lambda window: take(window, 11, 9),
    "too many entries are kept as taken": lambda window: take(window, 7, 9, 11),
    "an unknown request has taken an entry": lambda window: take(window, 12),
    "a value is that of an unknown request": lambda window: setattr(first(window), "values", b" 9:1 12:1"),
}
"""What breaks a promise of a window, by the words with which the check fails."""


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_in_a_window_is_found(window: DedupWindow, what: str) -> None:
    window.check_invariants()
    BREAKS[what](window)
    with pytest.raises(AssertionError, match=what):
        window.check_invariants()


@pytest.mark.parametrize(
    ("ranges", "what"),
    [
        ([KeyRange(b"b", b"c"), KeyRange(b"a", b"b")], "empty ranges touch"),
        ([KeyRange(b"b", b"c"), EVERYTHING], "empty ranges touch"),
        ([KeyRange(b"%c" % at, b"%ca" % at) for at in range(EMPTY_RANGES_MAX + 1)], "too many empty ranges are kept"),
    ],
)
def test_empty_ranges_that_cannot_be_are_found(ranges: list[KeyRange], what: str) -> None:
    empty = EmptyRanges()
    empty._ranges = ranges[:1]
    empty.check_invariants()
    empty._ranges = ranges
    with pytest.raises(AssertionError, match=what):
        empty.check_invariants()
