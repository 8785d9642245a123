"""A layer without entries. It takes the place of a main that has no parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.tables.cache import SegmentCache
from shardstore.tables.stretches import NOTHING_THERE, KeyMark, KeysAlone, LayerPage, Measure
from shardstore.tables.table_format import Entries, Integers
from shardstore.tables.wanted import Held, Wanted
from shardstore.wire.columns import Column

_NO_PAGE = LayerPage(Column(b"", False), lambda: Column(b"", False), list, 0, b"", b"", True)


class EmptyLayer:
    """A layer that behaves like a table without entries."""

    may_expire = False

    def apart(self, cache: SegmentCache) -> EmptyLayer:
        """Return this layer: it has no readers."""
        return self

    def get(self, key: bytes, digest: tuple[int, int]) -> Stored | None:
        """Return None."""
        return None

    def get_ready(self, key: bytes, digest: tuple[int, int]) -> Stored | None:
        """Return None."""
        return None

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """Return None for each key."""
        return [None] * len(keys)

    def fill(self, found: Held, wanted: Wanted, places: Integers) -> Integers:
        """Return the numbers of all keys: nothing is found."""
        return np.arange(len(wanted))

    def sort(self, keys_max: int) -> int:
        """Return 0: there are no keys to sort."""
        return 0

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """Return None: there are no entries."""
        return None

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Sequence[KeyMark]:
        """Return no marks."""
        return ()

    def columns(self, key_range: KeyRange) -> Sequence[Entries]:
        """Return no entries."""
        return ()

    def page(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> LayerPage:
        """Return an empty, exhausted page."""
        return _NO_PAGE

    def living(self, key_range: KeyRange) -> int:
        """Return 0."""
        return 0

    def keys_alone(self, key_range: KeyRange, now_ms: int) -> Sequence[KeysAlone]:
        """Return no keys."""
        return ()

    def measure(self, key_range: KeyRange, now_ms: int) -> Measure:
        """Return that there is nothing."""
        return NOTHING_THERE


EMPTY_LAYER = EmptyLayer()
