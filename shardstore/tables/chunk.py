"""What a read of a layer returns: a chunk of entries in key order, or the values of single keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Protocol

from shardstore.identifiers import TOMBSTONE, Stored, Tombstone
from shardstore.wire.columns import positions_of


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive entries of a layer in ascending order. Unless `exhausted`, the range has more beyond the far end."""

    keys: Sequence[bytes]
    values: Sequence[Stored]
    exhausted: bool


def without_tombstones(found: list[Stored | None]) -> list[bytes | None]:
    """Return the same list with None for each deleted key."""
    if Tombstone in set(map(type, found)):
        deque(map(found.__setitem__, positions_of(found, TOMBSTONE), repeat(None)), maxlen=0)
    return found  # type: ignore[return-value]  # the tombstones are gone


class Lookup(Protocol):
    """Anything in which keys can be looked up."""

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """Return what is stored for each key; None if nothing is."""
