"""Finds stretches of a range that hold a wanted number of entries. A stretch is read from each layer, then merged.

Every layer gives marks: keys in order, with the number of entries between one mark and the next. From the marks of all
layers a reader knows how far to read before it reads any entry (stretch_of).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.tables.table_format import Entries, Keys
from shardstore.wire.columns import Column


class KeyMark(NamedTuple):
    """A key, with the entries and bytes between the mark before it (or the near end of the range) and the key.

    In ascending order the key itself is not counted; in descending order (`reverse`) it is.
    """

    key: bytes
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True)
class LayerPage:
    """Consecutive entries as they are stored, ready to be sent. Unless `exhausted`, the layer may hold more.

    `values` makes their column, which a scan of keys does not need, and `value_items` the values themselves.
    """

    keys: Column
    values: Callable[[], Column]
    value_items: Callable[[], Sequence[bytes]]
    entries: int
    first_key: bytes
    last_key: bytes
    exhausted: bool


class KeysAlone(NamedTuple):
    """Keys in order, without their values. `living`: which of them have a value; None: all."""

    keys: Keys
    living: npt.NDArray[np.bool_] | None


class Measure(NamedTuple):
    """About how much of a layer lies in a range: least and most entries that have not expired, and tombstones
    among them; bytes.

    Outside of `extent` there is no entry.
    """

    entries_min: int
    entries_max: int
    tombstones_min: int
    tombstones_max: int
    bytes: int
    extent: KeyRange


class Ordered(Protocol):
    """Anything that holds entries in key order, or can sort them."""

    @property
    def may_expire(self) -> bool:
        """Whether some of its values may expire."""

    def sort(self, keys_max: int) -> int:
        """Sort up to `keys_max` more keys; returns how many were sorted. Fewer than `keys_max`: all are sorted now."""

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """Return a piece of the range outside which there is no entry; None if the whole range has none."""

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Sequence[KeyMark]:
        """Return marks inside the range, from its near end at least until one of the limits is reached."""

    def columns(self, key_range: KeyRange) -> Sequence[Entries]:
        """Return all entries of the range, as pairs of columns in key order. No two of them share a key."""

    def page(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> LayerPage | None:
        """Return entries from the near end of the range as they are stored; None if they must be decoded."""

    def living(self, key_range: KeyRange) -> int | None:
        """Return how many keys have a value in the range; None if entries must be read for that."""

    def keys_alone(self, key_range: KeyRange, now_ms: int) -> Sequence[KeysAlone]:
        """Return all keys of the range, as `columns` does, and whether they have a value at this moment."""

    def measure(self, key_range: KeyRange, now_ms: int) -> Measure:
        """Return about how much lies in the range, without looking at many entries."""


NOTHING_THERE = Measure(0, 0, 0, 0, 0, EVERYTHING)


def stretch_of(
    layers: Iterable[Ordered], wanted: KeyRange, reverse: bool, entries_max: int, bytes_max: int
) -> KeyRange:
    """Return the stretch at the near end of a range in which the layers together reach about one of the limits."""
    marks = chain.from_iterable(layer.marks(wanted, reverse, entries_max, bytes_max) for layer in layers)
    entries = payload_bytes = 0
    for mark in sorted(marks, reverse=reverse):
        entries += mark.entries
        payload_bytes += mark.bytes
        if entries >= entries_max or payload_bytes >= bytes_max:
            return KeyRange(mark.key, wanted.end) if reverse else KeyRange(wanted.start, mark.key)
    return wanted


def behind(stretch: KeyRange, wanted: KeyRange, reverse: bool) -> KeyRange | None:
    """Return what is left of a range after a stretch at its near end; None if nothing is left."""
    if reverse:
        return KeyRange(wanted.start, stretch.start) if stretch.start != wanted.start else None
    return KeyRange(stretch.end, wanted.end) if stretch.end != wanted.end else None


def sum_of(measures: Iterable[Measure]) -> Measure:
    """Return the sum of measures of ranges in key order. Nothing is left of those without entries."""
    filled = [each for each in measures if each.entries_max]
    if not filled:
        return NOTHING_THERE
    *columns, extents = zip(*filled, strict=True)
    return Measure._make((*map(sum, columns), KeyRange(extents[0].start, extents[-1].end)))


def before(left: KeyRange | None, wanted: KeyRange, reverse: bool) -> KeyRange:
    """Return the stretch of a range before `left`, its remaining piece; the whole range if `left` is None."""
    if left is None:
        return wanted
    return KeyRange(left.end, wanted.end) if reverse else KeyRange(wanted.start, left.start)


def lone_stretch(layers: Sequence[Ordered], wanted: KeyRange, reverse: bool) -> tuple[Ordered, KeyRange] | None:
    """Return the layer nearest to the near end of a range, and the stretch before the extent of any other layer.

    Returns None if there is no such stretch.
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
