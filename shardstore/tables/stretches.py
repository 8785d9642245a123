"""A part of a range is read layer by layer, then merged. Here is what each layer tells so that the parts get one size.

A layer marks keys in its order: between one mark and the next it has so many entries. The marks of all layers together
tell how far a reader gets with the entries it wants, before any entry is read (stretch_of).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Protocol

from shardstore.key_range import KeyRange
from shardstore.tables.table_format import Entries
from shardstore.wire.columns import Column


class Mark(NamedTuple):
    """Between the mark before it, or the near end of the range, and this key there are so many entries and bytes.

    Ascending from the start, the key itself is beyond; descending (`reverse`) it belongs to what is counted.
    """

    key: bytes
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive entries as they are stored, ready for the wire. The layer may hold more unless `exhausted`."""

    keys: Column
    values: Column
    entries: int
    first_key: bytes
    last_key: bytes
    exhausted: bool


class Ordered(Protocol):
    """Anything that holds entries in key order, or can put them in order."""

    def sort(self, keys_max: int) -> int:
        """Put so many more keys in order; answers how many were. With less than `keys_max`, all are in order."""

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """The part of the range outside of which there is no entry; None when there is none in all of it."""

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Sequence[Mark]:
        """Marks inside the range from its near end on, at least until one of the bounds is reached."""

    def columns(self, key_range: KeyRange) -> Sequence[Entries]:
        """All entries of the range: columns in key order, none of which has a key of another."""

    def page(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Page | None:
        """Entries from the near end of the range as they are stored; None where they have to be decoded."""


def stretch_of(
    layers: Iterable[Ordered], wanted: KeyRange, reverse: bool, entries_max: int, bytes_max: int
) -> KeyRange:
    """The part of a range, from its near end on, that has about so many entries or bytes in all layers together."""
    marks = chain.from_iterable(layer.marks(wanted, reverse, entries_max, bytes_max) for layer in layers)
    entries = payload_bytes = 0
    for mark in sorted(marks, reverse=reverse):
        entries += mark.entries
        payload_bytes += mark.bytes
        if entries >= entries_max or payload_bytes >= bytes_max:
            return KeyRange(mark.key, wanted.end) if reverse else KeyRange(wanted.start, mark.key)
    return wanted


def behind(stretch: KeyRange, wanted: KeyRange, reverse: bool) -> KeyRange | None:
    """What is left of a range behind a stretch from its near end on; None when that was all."""
    if reverse:
        return KeyRange(wanted.start, stretch.start) if stretch.start != wanted.start else None
    return KeyRange(stretch.end, wanted.end) if stretch.end != wanted.end else None


def before(left: KeyRange | None, wanted: KeyRange, reverse: bool) -> KeyRange:
    """What lies between the near end of a range and what is left of it; all of it when nothing is (None)."""
    if left is None:
        return wanted
    return KeyRange(left.end, wanted.end) if reverse else KeyRange(wanted.start, left.start)


def lone_stretch(layers: Sequence[Ordered], wanted: KeyRange, reverse: bool) -> tuple[Ordered, KeyRange] | None:
    """The layer with the nearest entry, and the part of the range, from its near end on, before that of any other.

    None when there is no such part.
    """
    extents = [(extent, at) for at, layer in enumerate(layers) if (extent := layer.extent(wanted)) is not None]
    if not extents:
        return None
    if reverse:
        extents.sort(key=lambda each: each[0].end, reverse=True)
        start = extents[1][0].end if len(extents) > 1 else wanted.start
        (nearest, at) = extents[0]
        return (layers[at], KeyRange(start, wanted.end)) if start < nearest.end else None
    extents.sort(key=lambda each: each[0].start)
    end = extents[1][0].start if len(extents) > 1 else wanted.end
    (nearest, at) = extents[0]
    return (layers[at], KeyRange(wanted.start, end)) if not end or nearest.start < end else None
