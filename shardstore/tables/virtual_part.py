"""A virtual part: a table of which only the keys within bounds count.

After a split both children use the files of their parent. After a merge such a file may hold outdated values of keys
that another segment has changed since. So a virtual part never returns anything outside its bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.tables.bloom import Mask
from shardstore.tables.not_ready import NotReady
from shardstore.tables.table_format import Integers
from shardstore.tables.table_reader import Table
from shardstore.tables.wanted import Held, Wanted
from shardstore.wire.columns import all_within


class VirtualPart(Table):
    """A table that shows only the entries within the bounds of its record."""

    @cached_property
    def bounds(self) -> KeyRange:
        """The keys that count."""
        return self.record.bounds

    def get(self, key: bytes, digest: tuple[int, int]) -> Stored | None:
        """Return what the part holds for one key; None if nothing."""
        return super().get(key, digest) if key in self.bounds else None

    def get_ready(self, key: bytes, digest: tuple[int, int]) -> Stored | NotReady | None:
        """Return what `get` returns, for any thread; NOT_READY if something must be loaded first."""
        return super().get_ready(key, digest) if key in self.bounds else None

    def fill(self, found: Held, wanted: Wanted, places: Integers) -> Integers:
        """As Table.fill, for the keys within the bounds."""
        keys = wanted.as_list()
        if all_within(keys, self.bounds):
            return super().fill(found, wanted, places)
        is_inside = _within(keys, self.bounds)
        inside = np.flatnonzero(is_inside)
        left = super().fill(found, wanted.at(inside), places[inside])
        return np.sort(np.concatenate((inside[left], np.flatnonzero(~is_inside))))

    def _positions(self, key_range: KeyRange) -> tuple[int, int]:
        """Return the positions of the first entry within range and bounds, and of the first entry after them."""
        within = key_range.intersection(self.bounds)
        return super()._positions(within) if within else (0, 0)


def _within(keys: Sequence[bytes], bounds: KeyRange) -> Mask:
    """Return for each key whether it lies within the bounds."""
    inside: Mask = np.fromiter(map(bounds.start.__le__, keys), np.bool_, len(keys))
    return inside & np.fromiter(map(bounds.end.__gt__, keys), np.bool_, len(keys)) if bounds.end else inside
