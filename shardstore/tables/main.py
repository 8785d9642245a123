"""A main: a list of tables (its parts) in key order whose keys do not overlap, read as one layer."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, repeat

import numpy as np

from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.limits import BLOCK_ENTRIES, KEY_ROW_BYTES_MAX
from shardstore.tables.cache import SegmentCache
from shardstore.tables.digests import digest_of
from shardstore.tables.empty_layer import EMPTY_LAYER
from shardstore.tables.not_ready import NotReady
from shardstore.tables.stretches import KeyMark, KeysAlone, LayerPage, Measure, sum_of
from shardstore.tables.table_format import Entries, Integers
from shardstore.tables.table_reader import FEW_KEYS, Table
from shardstore.tables.wanted import Held, Wanted, put_at
from shardstore.wire.columns import positions_of


class Main:
    """A main of two or more parts. Only one part can hold a key: the last whose first key is not above it."""

    def __init__(self, parts: Sequence[Table]) -> None:
        self.parts = parts
        self.may_expire = any(part.may_expire for part in parts)
        self._firsts = [part.record.key_first for part in parts]
        self._lasts = [part.record.key_last for part in parts]
        row_bytes = min(max(map(len, self._firsts)), KEY_ROW_BYTES_MAX)
        self._rows = np.array(self._firsts, dtype=f"S{row_bytes}")

    def apart(self, cache: SegmentCache) -> Main:
        """Return the same main with readers in this cache, so that two threads can read it at the same time."""
        return Main([part.apart(cache) for part in self.parts])

    def get(self, key: bytes, digest: tuple[int, int]) -> Stored | None:
        """Return what the main holds for one key; None if nothing."""
        return self.parts[max(0, bisect_right(self._firsts, key) - 1)].get(key, digest)

    def get_ready(self, key: bytes, digest: tuple[int, int]) -> Stored | NotReady | None:
        """Return what `get` returns, for any thread; NOT_READY if something must be loaded first."""
        return self.parts[max(0, bisect_right(self._firsts, key) - 1)].get_ready(key, digest)

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """Return what the main holds for each key; None if nothing."""
        if len(keys) <= FEW_KEYS:
            return [self.get(key, digest_of(key)) for key in keys]
        found: Held = np.empty(len(keys), object)
        self.fill(found, Wanted.of(keys), np.arange(len(keys)))
        return found.tolist()  # type: ignore[no-any-return]

    def fill(self, found: Held, wanted: Wanted, places: Integers) -> Integers:
        """Look up keys, and put what the main holds for each into `found`, at its place.

        Returns the numbers of the keys for which it holds nothing, ascending.
        """
        owners = self._owners(wanted)
        order = np.argsort(owners, kind="stable")
        owners, wanted, places = owners[order], wanted.at(order), places[order]
        cuts = [0, *(np.flatnonzero(owners[1:] != owners[:-1]) + 1).tolist(), len(places)]
        left = [
            _fill_from(self.parts[int(owners[begin])], found, wanted.span(begin, end), places[begin:end]) + begin
            for begin, end in pairwise(cuts)
        ]
        return np.sort(order[np.concatenate(left)])

    def sort(self, keys_max: int) -> int:
        """Return 0: parts are always sorted."""
        return 0

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """Return the piece of the range from its first part's first key to its last part's last key; None if empty."""
        extents = [part.extent(key_range) for part in self._overlapped(key_range, False)]
        inside = list(filter(None, extents[:1] + extents[-1:]))
        return KeyRange(inside[0].start, inside[-1].end) if inside else None

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Sequence[KeyMark]:
        """Return marks inside the range, from its near end at least until one of the limits is reached."""
        marks: list[KeyMark] = []
        between: Table | None = None
        for part in self._overlapped(key_range, reverse):
            if between is not None:
                marks.append(
                    KeyMark(part.record.key_first if not reverse else between.record.key_first, BLOCK_ENTRIES, 0)
                )
            between = part
            marks += part.marks(key_range, reverse, entries_max, bytes_max)
            if sum(mark.entries for mark in marks) >= entries_max or sum(mark.bytes for mark in marks) >= bytes_max:
                break
        return marks

    def columns(self, key_range: KeyRange) -> Sequence[Entries]:
        """Return all entries of the range, with separate columns for each part."""
        return [columns for part in self._overlapped(key_range, False) for columns in part.columns(key_range)]

    def page(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> LayerPage | None:
        """Return entries of one part as they are stored; None if this part has tombstones or moments."""
        parts = self._overlapped(key_range, reverse)
        for part in parts:
            page = part.page(key_range, reverse, entries_max, bytes_max)
            if page is None:
                return None
            if page.entries:
                return replace(page, exhausted=page.exhausted and part is parts[-1])
        return EMPTY_LAYER.page(key_range, reverse, entries_max, bytes_max)

    def living(self, key_range: KeyRange) -> int | None:
        """Return how many keys have a value in the range; None if values must be read for that."""
        counts = [part.living(key_range) for part in self._overlapped(key_range, False)]
        return None if None in counts else sum(filter(None, counts))

    def keys_alone(self, key_range: KeyRange, now_ms: int) -> Sequence[KeysAlone]:
        """Return all keys of the range, separately for each part."""
        return [keys for part in self._overlapped(key_range, False) for keys in part.keys_alone(key_range, now_ms)]

    def measure(self, key_range: KeyRange, now_ms: int) -> Measure:
        """Return how much lies in the range, summed over the parts."""
        return sum_of(part.measure(key_range, now_ms) for part in self._overlapped(key_range, False))

    def _overlapped(self, key_range: KeyRange, reverse: bool) -> Sequence[Table]:
        """Return the parts whose key intervals overlap the range, from the near end."""
        first = bisect_left(self._lasts, key_range.start)
        behind = bisect_left(self._firsts, key_range.end) if key_range.end else len(self.parts)
        parts = self.parts[first:behind]
        return parts[::-1] if reverse else parts

    def _owners(self, wanted: Wanted) -> Integers:
        """Return for each key the index of the part that can hold it.

        Numpy ignores trailing zero bytes of rows, and rows hold only the first bytes of long keys. So a key whose row
        equals that of a part's first key is bisected.
        """
        rows = wanted.beginnings(self._rows.dtype)
        behind = np.searchsorted(self._rows, rows, side="right")
        tied = np.flatnonzero(self._rows[behind - 1] == rows)
        if len(tied):
            tied_keys = wanted.at(tied).as_list()
            behind[tied] = np.fromiter(map(bisect_right, repeat(self._firsts), tied_keys), np.int64, len(tied_keys))
        owners: Integers = np.maximum(behind - 1, 0)
        return owners


def _fill_from(part: Table, found: Held, wanted: Wanted, places: Integers) -> Integers:
    """As Main.fill, for the keys that only this part can hold."""
    if len(wanted) > FEW_KEYS:
        return part.fill(found, wanted, places)
    values = list(map(part.get, wanted.as_list(), wanted.digests.tolist()))
    put_at(found, places, values)
    return np.array(positions_of(values, None), np.int64)
