"""The parents that a child reads until it has files of its own. See shardstore/wire/topology.py.

A parent accepts no more writes, so its entries are valid as long as the child itself has nothing newer. It is asked
only for keys of its own range: its files may hold other keys as well, from before an earlier split.
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
    """A range as its child reads it: the part of OwnedRange that is used for that."""

    @property
    def key_range(self) -> KeyRange:
        """The keys of the range."""

    @property
    def writes_applied(self) -> int:
        """Number of writes applied since the range was opened."""

    @property
    def tables(self) -> Sequence[tuple[int, TableRecord]]:
        """The tables of the range, and the segment in whose directory each is. Raises Corruption, StorageFailure."""

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """The newest value or TOMBSTONE of each key; None where there is neither. Raises Corruption, StorageFailure."""

    def view(self) -> RangeView:
        """The range as it is now, valid until the next event. Raises Corruption, StorageFailure."""

    def pin(self, now_ms: int) -> PinnedView:
        """The range as it is at this moment, valid until it is released. Raises Corruption, StorageFailure."""

    def value_bytes_mean(self) -> int:
        """About the mean size of an entry, never 0."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """The parents of a child that this worker owns, in key order. `is_remote`: other workers own some more."""

    parents: Sequence[ParentRange]
    is_remote: bool

    @property
    def tables(self) -> Sequence[tuple[int, TableRecord]]:
        """The tables of these parents, as ParentRange.tables has them. Raises Corruption, StorageFailure."""
        return [table for parent in self.parents for table in parent.tables]

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """What the parents hold for each key, None for nothing. Raises Corruption, StorageFailure."""
        assert not self.is_remote, "some keys have to be read from a parent on another worker"
        if len(self.parents) == 1:
            return self.parents[0].get_many(keys)
        found: list[Stored | None] = [None] * len(keys)
        for parent in self.parents:
            places = [at for at, key in enumerate(keys) if key in parent.key_range]
            for at, entry in zip(places, parent.get_many([keys[at] for at in places]), strict=True):
                found[at] = entry
        return found

    def fill(self, found: list[Stored | None], keys: Sequence[bytes]) -> None:
        """Fill in what these parents hold for the keys not found yet, TOMBSTONE for nothing.

        Keys of parents on other workers stay None. Raises Corruption, StorageFailure.
        """
        for parent in self.parents:
            places = [at for at, key in enumerate(keys) if found[at] is None and key in parent.key_range]
            for at, entry in zip(places, parent.get_many([keys[at] for at in places]), strict=True):
                found[at] = TOMBSTONE if entry is None else entry

    def layers(self) -> list[Ordered]:
        """All layers of the parents, those of each parent oldest first. Raises Corruption, StorageFailure."""
        return [Clipped(layer, parent.key_range) for parent in self.parents for layer in parent.view().layers]

    def pin(self, now_ms: int) -> list[PinnedRange]:
        """Pin the parents as they are at this moment: writes applied later do not show.

        Raises Corruption, StorageFailure.
        """
        return [pinned.within(parent.key_range) for parent in self.parents for pinned in parent.pin(now_ms).ranges]
