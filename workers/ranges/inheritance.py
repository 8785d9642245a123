"""What a child reads before it has files of its own: its parents, as they are. See shardstore/wire/topology.py.

A parent accepts no write any more, so whatever it answers holds as long as the child itself knows nothing newer. It is
asked only for its own keys: its files may hold more than that, from a time before an earlier split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import KeyRange
from shardstore.tables.stretches import Ordered
from shardstore.tables.table_format import TableRecord
from shardstore.workers.ranges.range_view import Clipped, PinnedRange, PinnedView, RangeView


class ParentRange(Protocol):
    """A range as its child reads it; the methods are those of OwnedRange."""

    @property
    def key_range(self) -> KeyRange:
        """Its keys."""

    @property
    def writes_applied(self) -> int:
        """Writes that were applied to it since it was opened."""

    @property
    def tables(self) -> Sequence[tuple[int, TableRecord]]:
        """The tables that are read, each with the segment in whose directory it is. Raises Corruption."""

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """The newest entry of each key; None or TOMBSTONE where there is no value. Raises Corruption."""

    def view(self) -> RangeView:
        """The range as it is until the next event. Raises Corruption."""

    def pin(self) -> PinnedView:
        """The range as it is now, for as long as it takes. Raises Corruption."""

    def value_bytes_mean(self) -> int:
        """Rough mean size of an entry, never 0."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """The parents of a child that are in this process, in key order, and whether others are elsewhere."""

    parents: Sequence[ParentRange]
    is_remote: bool

    @property
    def tables(self) -> Sequence[tuple[int, TableRecord]]:
        """The tables that are read, each with the segment in whose directory it is. Raises Corruption."""
        return [table for parent in self.parents for table in parent.tables]

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """What the parents hold for each key; None for nothing. Raises Corruption."""
        assert not self.is_remote, "the keys of a parent elsewhere are asked for there"
        if len(self.parents) == 1:
            return self.parents[0].get_many(keys)
        found: list[Stored | None] = [None] * len(keys)
        for parent in self.parents:
            places = [at for at, key in enumerate(keys) if key in parent.key_range]
            for at, entry in zip(places, parent.get_many([keys[at] for at in places]), strict=True):
                found[at] = entry
        return found

    def fill(self, found: list[Stored | None], keys: Sequence[bytes]) -> None:
        """Put what the parents here hold where nothing is found yet; TOMBSTONE if nothing. Raises Corruption."""
        for parent in self.parents:
            places = [at for at, key in enumerate(keys) if found[at] is None and key in parent.key_range]
            for at, entry in zip(places, parent.get_many([keys[at] for at in places]), strict=True):
                found[at] = TOMBSTONE if entry is None else entry

    def layers(self) -> list[Ordered]:
        """All layers of the parents, those of each from the oldest to the newest. Raises Corruption."""
        return [Clipped(layer, parent.key_range) for parent in self.parents for layer in parent.view().layers]

    def pin(self) -> list[PinnedRange]:
        """The parents as they are now, whatever is applied to them yet. Raises Corruption."""
        return [pinned.within(parent.key_range) for parent in self.parents for pinned in parent.pin().ranges]
