"""The active layer of a range (the mutable memtable): a dict of the newest writes, sorted only when a scan needs it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import KeyRange
from shardstore.limits import BUFFERED_ENTRY_BYTES
from shardstore.tables.stretches import KeyMark, LayerPage
from shardstore.tables.table_format import Entries
from shardstore.workers.overlay.key_sample import KeySample
from shardstore.workers.overlay.sorted_entries import SortedEntries


class ActiveLayer:
    """The newest writes of a range.

    Keys are only ever added to `entries`: a delete stores TOMBSTONE. Invariant: a layer has an `lsn_first` if it has
    entries, and they take no more memory than `size_bytes`.
    """

    def __init__(self) -> None:
        self.entries: dict[bytes, Stored] = {}
        self.lsn_first = 0
        """LSN of the oldest write here; 0 while empty."""
        self.key_sample = KeySample()
        """A sample that shows how the bytes put here are spread over the keys."""
        self.deletes = 0
        """Upper bound on the keys deleted here: a key that was deleted twice counts twice, even if it was put since."""
        self._in_order = SortedEntries(self.entries)
        self.size_bytes = 0
        """Upper bound on the memory held: overwritten values still count."""

    def __len__(self) -> int:
        return len(self.entries)

    def put(self, keys: Sequence[bytes], values: Sequence[Stored], payload_bytes: int, lsn: int) -> int:
        """Apply a batch of puts; the last of equal keys wins. Returns the growth of `size_bytes`."""
        entries_before = len(self.entries)
        if len(keys) == 1:
            self.entries[keys[0]] = values[0]
        else:
            self.entries.update(zip(keys, values, strict=True))
        self.key_sample.note(keys, payload_bytes)
        return self._noted(len(keys), entries_before, payload_bytes, lsn)

    def delete(self, keys: Sequence[bytes], payload_bytes: int, lsn: int) -> int:
        """Apply a batch of deletes. Returns the growth of `size_bytes`."""
        entries_before = len(self.entries)
        self.entries.update(zip(keys, repeat(TOMBSTONE)))
        self.deletes += len(keys)
        return self._noted(len(keys), entries_before, payload_bytes, lsn)

    def change(
        self, keys: Sequence[bytes], values: Sequence[Stored], deletes: int, payload_bytes: int, lsn: int
    ) -> int:
        """Apply a batch of puts and deletes; the last of equal keys wins. Returns the growth of `size_bytes`.

        `deletes`: how many of the values are TOMBSTONE.
        """
        self.deletes += deletes
        return self.put(keys, values, payload_bytes, lsn)

    def copy(self) -> ActiveLayer:
        """A copy for readers, which later writes here do not change. It has no key marks and no count of deletes."""
        twin = ActiveLayer()
        twin.entries = self.entries.copy()
        twin._in_order = self._in_order.copy(twin.entries)
        twin.lsn_first, twin.size_bytes = self.lsn_first, self.size_bytes
        return twin

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """The value or tombstone of each key; None where the layer has neither."""
        return list(map(self.entries.get, keys))

    def sort(self, keys_max: int) -> int:
        """Sort at most `keys_max` more keys. Returns how many; if fewer than `keys_max`, all are in order."""
        return self._in_order.sort(keys_max)

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """The smallest part of the range that holds all its entries here; None if there are none."""
        return self._in_order.extent(key_range)

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Sequence[KeyMark]:
        """Marks in the range, from its near end on, at least until one of the limits is reached."""
        entry_bytes = self._payload_bytes() // max(1, len(self.entries)) + 1
        return self._in_order.marks(key_range, reverse, min(entries_max, bytes_max // entry_bytes + 1), entry_bytes)

    def columns(self, key_range: KeyRange) -> Sequence[Entries]:
        """All entries in the range: one sorted Entries for each piece."""
        return self._in_order.between(key_range)

    def page(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> LayerPage | None:
        """None: nothing in memory is stored in the format of the wire."""
        return None

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class, or of its sorted form, does not hold.

        This walks over all entries.
        """
        assert self.lsn_first or not self.entries, "a layer with entries has no first LSN"
        payload_bytes = sum(map(len, self.entries)) + sum(len(value) for value in self.entries.values() if value)
        assert payload_bytes <= self._payload_bytes(), "entries take more memory than is counted"
        self._in_order.check_invariants()

    def _noted(self, keys: int, entries_before: int, payload_bytes: int, lsn: int) -> int:
        new = len(self.entries) - entries_before
        if new < keys:
            self._in_order.note_overwritten()
        grown_bytes = payload_bytes + new * BUFFERED_ENTRY_BYTES
        self.size_bytes += grown_bytes
        self.lsn_first = self.lsn_first or lsn
        return grown_bytes

    def _payload_bytes(self) -> int:
        return self.size_bytes - len(self.entries) * BUFFERED_ENTRY_BYTES
