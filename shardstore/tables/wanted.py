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
from shardstore.tables.table_format import FixedItems, Integers, Keys

Held: TypeAlias = npt.NDArray[np.object_]
"""What is stored for each of some keys; None if nothing is."""


class Wanted:
    """Keys and their digests. Keys of one length are an array, which is cut and compared without a step for each."""

    __slots__ = ("digests", "keys")

    def __init__(self, keys: Keys, digests: Digests) -> None:
        self.keys = keys
        self.digests = digests

    @classmethod
    def of(cls, keys: Sequence[bytes]) -> Self:
        """Return these keys, of one length or of several."""
        stride = stride_of_items(keys)
        return cls(as_array(keys, stride) if stride else keys, digests_of(keys))

    def __len__(self) -> int:
        return len(self.digests)

    def span(self, begin: int, end: int) -> Wanted:
        """Return the keys `begin` to `end` (excluded)."""
        return Wanted(self.keys[begin:end], self.digests[begin:end])

    def at(self, places: Integers) -> Wanted:
        """Return the keys at these places, in this order."""
        return Wanted(keys_at(self.keys, places), self.digests[places])

    def as_list(self) -> list[bytes]:
        """Return the keys as a list."""
        return as_list(self.keys)

    def are(self, places: Integers, others: Keys) -> Mask | None:
        """Return for the key at each place whether it is the other one; None: all are."""
        wanted = keys_at(self.keys, places)
        if isinstance(wanted, np.ndarray) and isinstance(others, np.ndarray):
            are_all = wanted.itemsize == others.itemsize and wanted.tobytes() == others.tobytes()
        else:
            are_all = as_list(wanted) == as_list(others)
        return None if are_all else np.fromiter(map(eq, as_list(wanted), as_list(others)), np.bool_, len(places))


def keys_at(keys: Keys, places: Integers) -> Keys:
    """Return the keys at these places, in this order."""
    if isinstance(keys, np.ndarray):
        return keys[places]
    return list(map(keys.__getitem__, places.tolist()))


def put_at(found: Held, places: Integers, values: Sequence[Stored | None] | FixedItems) -> None:
    """Put values at these places."""
    found[places] = values if isinstance(values, np.ndarray) else np.fromiter(values, object, len(values))


def held_of(values: Sequence[Stored | None]) -> Held:
    """Return what was found for some keys, given as a sequence."""
    return np.fromiter(values, object, len(values))
