"""The mutable top of a range: a plain dict of the newest writes, its size counted, its order made when needed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, repeat

from sortedcontainers import SortedList

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import KeyRange
from shardstore.workers.chunk import Chunk
from shardstore.workers.overlay.key_marks import KeyMarks

ENTRY_OVERHEAD_BYTES = 180
"""Memory of an entry beyond its key and value: two object heads, their rounding, and its share of a growing dict."""


class ActiveLayer:
    """Newest writes of a range.

    `entries` only ever gains keys (a delete stores TOMBSTONE), so the keys added since the order was last made are
    the tail of the dict's insertion order.
    """

    def __init__(self) -> None:
        self.entries: dict[bytes, Stored] = {}
        self.lsn_first = 0
        """LSN of the oldest write here; 0 while empty."""
        self.marks = KeyMarks()
        """Where the bytes that were put lie."""
        self.deletes = 0
        """Keys deleted here, from above: one that was put again, or deleted twice, counts."""
        self._ordered: SortedList = SortedList()
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
        self.marks.note(keys, payload_bytes)
        return self._noted(entries_before, payload_bytes, lsn)

    def delete(self, keys: Sequence[bytes], payload_bytes: int, lsn: int) -> int:
        """Apply a batch of deletes. Answers by how many bytes the layer has grown."""
        entries_before = len(self.entries)
        self.entries.update(zip(keys, repeat(TOMBSTONE)))
        self.deletes += len(keys)
        return self._noted(entries_before, payload_bytes, lsn)

    def copy(self) -> ActiveLayer:
        """A layer of the same entries that knows nothing of what is written here from now on."""
        twin = ActiveLayer()
        twin.entries, twin._ordered = self.entries.copy(), self.ordered().copy()
        twin.lsn_first, twin._payload_bytes = self.lsn_first, self._payload_bytes
        return twin

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """What is held for each key; None for nothing."""
        return list(map(self.entries.get, keys))

    def chunk(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Chunk:
        """The first (or last) entries of a range in key order."""
        ordered = self.ordered()
        first = ordered.bisect_left(key_range.start)
        last = ordered.bisect_left(key_range.end) if key_range.end else len(ordered)
        return chunk_of(self.entries, ordered, first, last, reverse, entries_max, bytes_max)

    def ordered(self) -> SortedList:
        """All keys in order, brought up to date with the writes since the last call."""
        if len(self._ordered) < len(self.entries):
            self._ordered.update(islice(self.entries, len(self._ordered), None))
        return self._ordered

    def _noted(self, entries_before: int, payload_bytes: int, lsn: int) -> int:
        self._payload_bytes += payload_bytes
        self.lsn_first = self.lsn_first or lsn
        return payload_bytes + (len(self.entries) - entries_before) * ENTRY_OVERHEAD_BYTES


def chunk_of(
    entries: dict[bytes, Stored],
    ordered: Sequence[bytes],
    first: int,
    last: int,
    reverse: bool,
    entries_max: int,
    bytes_max: int,
) -> Chunk:
    """The chunk of positions [first, last) of the ordered keys, bounded in entries and, roughly, in bytes."""
    taken = min(last - first, entries_max)
    while True:
        keys = list(ordered[last - taken : last] if reverse else ordered[first : first + taken])
        values = list(map(entries.__getitem__, keys))
        payload_bytes = sum(map(len, keys)) + sum(map(len, values))
        if payload_bytes <= bytes_max or taken <= 1:
            return Chunk(keys, values, taken == last - first)
        taken = max(1, taken * bytes_max // (2 * payload_bytes))
