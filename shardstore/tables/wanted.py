"""Keys that are looked up together, and what is known of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import eq
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from shardstore.identifiers import Stored
from shardstore.tables.bloom import Mask
from shardstore.tables.column_items import as_array, as_list, stride_of_items
from shardstore.tables.digests import Digests, digests_of
from shardstore.tables.padded_keys import PaddedKeys
from shardstore.tables.row_digests import digests_of_rows
from shardstore.tables.table_format import FixedItems, Integers, Keys

Held: TypeAlias = npt.NDArray[np.object_]
"""What is stored for each of some keys; None if nothing is."""


class Wanted:
    """Keys and their digests. Unless some are very long, the keys are an array, or the rows of one."""

    __slots__ = ("digests", "keys")

    def __init__(self, keys: Keys | PaddedKeys, digests: Digests) -> None:
        self.keys = keys
        self.digests = digests

    @classmethod
    def of(cls, keys: Sequence[bytes]) -> Self:
        """Return these keys, of one length or of several."""
        stride = stride_of_items(keys)
        return cls.fixed(as_array(keys, stride), keys) if stride else cls.variable(keys)

    @classmethod
    def fixed(cls, rows: FixedItems, keys: Sequence[bytes]) -> Self:
        """Return these keys, which `rows` holds too."""
        return cls(rows, digests_of_rows(rows, keys))

    @classmethod
    def variable(cls, keys: Sequence[bytes]) -> Self:
        """Return these keys of several lengths."""
        return cls(PaddedKeys.of(keys) or keys, digests_of(keys))

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def padded_bytes(self) -> int:
        """The length of the rows with keys of several lengths; 0 if there are none."""
        return self.keys.width if isinstance(self.keys, PaddedKeys) else 0

    def span(self, begin: int, end: int) -> Wanted:
        """Return the keys `begin` to `end` (excluded)."""
        return Wanted(self.keys[begin:end], self.digests[begin:end])

    def at(self, places: Integers) -> Wanted:
        """Return the keys at these places, in this order."""
        return Wanted(self._keys_at(places), self.digests[places])

    def as_list(self) -> list[bytes]:
        """Return the keys as a list."""
        return _list_of(self.keys)

    def beginnings(self, row: np.dtype[np.bytes_]) -> npt.NDArray[np.bytes_]:
        """Return the first bytes of each key, as many as a row has."""
        rows = self.keys.rows if isinstance(self.keys, PaddedKeys) else self.keys
        if isinstance(rows, np.ndarray):
            return rows.view(f"S{rows.itemsize}").astype(row)
        return np.array(rows, dtype=row)

    def are(self, places: Integers, others: Keys | PaddedKeys) -> Mask | None:
        """Return for the key at each place whether it is the other one; None: all are."""
        wanted = self._keys_at(places)
        if isinstance(wanted, PaddedKeys) and isinstance(others, PaddedKeys):
            return wanted.are(others)
        if isinstance(wanted, np.ndarray) and isinstance(others, np.ndarray):
            are_all = wanted.itemsize == others.itemsize and wanted.tobytes() == others.tobytes()
        else:
            are_all = _list_of(wanted) == _list_of(others)
        return None if are_all else np.fromiter(map(eq, _list_of(wanted), _list_of(others)), np.bool_, len(places))

    def _keys_at(self, places: Integers) -> Keys | PaddedKeys:
        if isinstance(self.keys, np.ndarray | PaddedKeys):
            return self.keys[places]
        return list(map(self.keys.__getitem__, places.tolist()))


def _list_of(keys: Keys | PaddedKeys) -> list[bytes]:
    return keys.tolist() if isinstance(keys, PaddedKeys) else as_list(keys)


def put_at(found: Held, places: Integers, values: Sequence[Stored | None] | FixedItems) -> None:
    """Put values at these places."""
    found[places] = values if isinstance(values, np.ndarray) else np.fromiter(values, object, len(values))


def held_of(values: Sequence[Stored | None]) -> Held:
    """Return what was found for some keys, given as a sequence."""
    return np.fromiter(values, object, len(values))
