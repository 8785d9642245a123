"""The active layer of a range (the mutable memtable): a dict of the newest writes, sorted only when a scan needs it.

Its `cleared` keys have no value in older layers. Its own entries lie above that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, repeat

import numpy as np

from shardstore.identifiers import TOMBSTONE, Expiring, Stored
from shardstore.key_range import KeyRange
from shardstore.limits import BUFFERED_ENTRY_BYTES
from shardstore.tables.column_items import as_list, payload_bytes
from shardstore.tables.expired import are_living
from shardstore.tables.key_ranges import NO_KEYS
from shardstore.tables.stretches import NOTHING_THERE, KeyMark, KeysAlone, LayerPage, Measure
from shardstore.tables.table_format import Entries
from shardstore.wire.columns import positions_of
from shardstore.workers.overlay.key_sample import KeySample
from shardstore.workers.overlay.sorted_entries import SortedEntries


class ActiveLayer:
    """The newest writes of a range.

    Keys are only ever added to `entries`: a delete stores TOMBSTONE. Invariant: a layer has an `lsn_first` if it has
    entries or has cleared keys, and they take no more memory than `size_bytes`.
    """

    def __init__(self) -> None:
        self.entries: dict[bytes, Stored] = {}
        self.lsn_first = 0
        """LSN of the oldest write here; 0 while empty."""
        self.cleared = NO_KEYS
        """The keys whose entries in older layers were deleted."""
        self.key_sample = KeySample()
        """A sample that shows how the bytes put here are spread over the keys."""
        self.deletes = 0
        """Upper bound on the keys deleted here: a key that was deleted twice counts twice, even if it was put since."""
        self.may_expire = False
        """Whether a value put here expires, even if the key was written again since."""
        self._in_order = SortedEntries(self.entries)
        self.size_bytes = 0
        """Upper bound on the memory held: overwritten values still count."""

    def __len__(self) -> int:
        return len(self.entries)

    def __bool__(self) -> bool:
        """Whether it holds or hides anything."""
        return bool(self.entries or self.cleared)

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
        self,
        keys: Sequence[bytes],
        values: Sequence[Stored],
        deletes: int,
        may_expire: bool,
        payload_bytes: int,
        lsn: int,
    ) -> int:
        """Apply a batch of puts and deletes; the last of equal keys wins. Returns the growth of `size_bytes`.

        `deletes`: how many of the values are TOMBSTONE. `may_expire`: whether some of them are Expiring.
        """
        self.deletes += deletes
        self.may_expire |= may_expire
        return self.put(keys, values, payload_bytes, lsn)

    def clear(self, key_range: KeyRange, lsn: int) -> int:
        """Delete all keys of a range, here and in older layers. Returns the growth of `size_bytes`, which may shrink.

        This takes some time for each entry of the layer, whether it is in the range or not.
        """
        inside = list(compress(self.entries, map(key_range.__contains__, self.entries)))
        if inside:
            self.entries.update(zip(inside, repeat(TOMBSTONE)))
            self.deletes += len(inside)
            self._in_order.note_overwritten()
        cleared = self.cleared.with_range(key_range)
        grown_bytes = cleared.size_bytes - self.cleared.size_bytes
        self.cleared = cleared
        self.size_bytes += grown_bytes
        self.lsn_first = self.lsn_first or lsn
        return grown_bytes

    def copy(self) -> ActiveLayer:
        """A copy for readers, which later writes here do not change. It has no key marks."""
        twin = ActiveLayer()
        twin.entries = self.entries.copy()
        twin._in_order = self._in_order.copy(twin.entries)
        twin.lsn_first, twin.size_bytes = self.lsn_first, self.size_bytes
        twin.cleared, twin.deletes, twin.may_expire = self.cleared, self.deletes, self.may_expire
        return twin

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """The value or tombstone of each key; None where the layer has neither. A cleared key has a tombstone."""
        found: list[Stored | None] = list(map(self.entries.get, keys))
        if self.cleared:
            for at in positions_of(found, None):
                if keys[at] in self.cleared:
                    found[at] = TOMBSTONE
        return found

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

    def living(self, key_range: KeyRange) -> int | None:
        """How many keys have a value in the range; None if some were deleted or expire here."""
        return None if self.deletes or self.may_expire else self._in_order.count(key_range)

    def keys_alone(self, key_range: KeyRange, now_ms: int) -> Sequence[KeysAlone]:
        """All keys in the range: sorted ones for each piece."""
        pieces = self._in_order.between(key_range)
        if not self.deletes and not self.may_expire:
            return [KeysAlone(keys, None) for keys, _ in pieces]
        return [
            KeysAlone(keys, np.fromiter(are_living(as_list(values), self.may_expire, now_ms), np.bool_, len(keys)))
            for keys, values in pieces
        ]

    def measure(self, key_range: KeyRange, now_ms: int) -> Measure:
        """How much lies in the range. Entries are not sorted for that; until they are, any number of them may."""
        held = len(self.entries)
        is_sorted = self._in_order.is_sorted
        entries = self._in_order.count(key_range) if is_sorted else held
        extent = self.extent(key_range) if is_sorted else key_range
        if not entries or not extent:
            return NOTHING_THERE
        share_bytes = self._payload_bytes() * entries // held
        least = entries if is_sorted and not self.may_expire else 0
        return Measure(least, entries, 0, min(self.deletes, entries), share_bytes, extent)

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class, or of its sorted form, does not hold.

        This walks over all entries.
        """
        assert self.lsn_first or not self, "a layer with entries has no first LSN"
        self.cleared.check_invariants()
        held_bytes = sum(map(len, self.entries)) + int(payload_bytes([*self.entries.values()]).sum())
        assert held_bytes <= self._payload_bytes(), "entries take more memory than is counted"
        kinds = set(map(type, self.entries.values()))
        assert self.may_expire or Expiring not in kinds, "a value expires in a layer where none may"
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
        return self.size_bytes - len(self.entries) * BUFFERED_ENTRY_BYTES - self.cleared.size_bytes
