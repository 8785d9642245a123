"""The mutable top of a range: a plain dict of the newest writes, its size counted, its order made when needed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import KeyRange
from shardstore.tables.stretches import Mark, Page
from shardstore.tables.table_format import Entries
from shardstore.workers.overlay.key_marks import KeyMarks
from shardstore.workers.overlay.sorted_entries import SortedEntries

ENTRY_OVERHEAD_BYTES = 224
"""Memory of an entry beyond its key and value: two object heads, their rounding, its share of a growing dict, and what
is kept of it in key order."""


class ActiveLayer:
    """Newest writes of a range.

    `entries` only ever gains keys (a delete stores TOMBSTONE).
    """

    def __init__(self) -> None:
        self.entries: dict[bytes, Stored] = {}
        self.lsn_first = 0
        """LSN of the oldest write here; 0 while empty."""
        self.key_marks = KeyMarks()
        """Where the bytes that were put lie."""
        self.deletes = 0
        """Keys deleted here, from above: one that was put again, or deleted twice, counts."""
        self._in_order = SortedEntries(self.entries)
        self._payload_bytes = 0

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def size_bytes(self) -> int:
        """Memory held, from above: a value that was overwritten counts until the seal."""
        return self._payload_bytes + len(self.entries) * ENTRY_OVERHEAD_BYTES

    def put(self, keys: Sequence[bytes], values: Sequence[bytes], payload_bytes: int, lsn: int) -> int:
        """Apply a batch of writes; of equal keys the last wins. Answers by how many bytes the layer has grown."""
        entries_before = len(self.entries)
        self.entries.update(zip(keys, values, strict=True))
        self.key_marks.note(keys, payload_bytes)
        return self._noted(len(keys), entries_before, payload_bytes, lsn)

    def delete(self, keys: Sequence[bytes], payload_bytes: int, lsn: int) -> int:
        """Apply a batch of deletes. Answers by how many bytes the layer has grown."""
        entries_before = len(self.entries)
        self.entries.update(zip(keys, repeat(TOMBSTONE)))
        self.deletes += len(keys)
        return self._noted(len(keys), entries_before, payload_bytes, lsn)

    def copy(self) -> ActiveLayer:
        """A layer of the same entries that knows nothing of what is written here from now on."""
        twin = ActiveLayer()
        twin.entries = self.entries.copy()
        twin._in_order = self._in_order.copy(twin.entries)
        twin.lsn_first, twin._payload_bytes = self.lsn_first, self._payload_bytes
        return twin

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """What is held for each key; None for nothing."""
        return list(map(self.entries.get, keys))

    def sort(self, keys_max: int) -> int:
        """Put so many more keys in order; answers how many were."""
        return self._in_order.sort(keys_max)

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """The part of the range outside of which there is no entry; None when there is none in all of it."""
        return self._in_order.extent(key_range)

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Sequence[Mark]:
        """Marks inside the range from its near end on, at least until one of the bounds is reached."""
        entry_bytes = self._payload_bytes // max(1, len(self.entries)) + 1
        return self._in_order.marks(key_range, reverse, min(entries_max, bytes_max // entry_bytes + 1), entry_bytes)

    def columns(self, key_range: KeyRange) -> Sequence[Entries]:
        """All entries of the range, as many columns as there are pieces in order."""
        return self._in_order.between(key_range)

    def page(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Page | None:
        """None: nothing here is stored as it goes over the wire."""
        return None

    def _noted(self, keys: int, entries_before: int, payload_bytes: int, lsn: int) -> int:
        new = len(self.entries) - entries_before
        if new < keys:
            self._in_order.note_overwritten()
        self._payload_bytes += payload_bytes
        self.lsn_first = self.lsn_first or lsn
        return payload_bytes + new * ENTRY_OVERHEAD_BYTES
