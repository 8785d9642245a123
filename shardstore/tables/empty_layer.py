"""What stands in a slot of a segment that is empty: a layer that holds nothing."""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.tables.digests import Digests
from shardstore.tables.stretches import Mark, Page
from shardstore.tables.table_format import Entries
from shardstore.wire.columns import Column

_NO_PAGE = Page(Column(b"", False), Column(b"", False), 0, b"", b"", True)


class EmptyLayer:
    """Answers like a table without entries."""

    def get(self, key: bytes, digest: tuple[int, int]) -> Stored | None:
        """Nothing."""
        return None

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """Nothing for each key."""
        return [None] * len(keys)

    def find(self, keys: Sequence[bytes], digests: Digests) -> list[Stored | None]:
        """Nothing for each key."""
        return [None] * len(keys)

    def sort(self, keys_max: int) -> int:
        """Nothing."""
        return 0

    def extent(self, key_range: KeyRange) -> KeyRange | None:
        """Nowhere is an entry."""
        return None

    def marks(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Sequence[Mark]:
        """No mark."""
        return ()

    def columns(self, key_range: KeyRange) -> Sequence[Entries]:
        """No entries."""
        return ()

    def page(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Page:
        """No entries."""
        return _NO_PAGE


EMPTY_LAYER = EmptyLayer()
