"""What a read of a layer returns: a chunk of entries in key order, or the values of single keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shardstore.identifiers import Stored


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive entries of a layer in ascending order. Unless `exhausted`, the range has more beyond the far end."""

    keys: Sequence[bytes]
    values: Sequence[Stored]
    exhausted: bool


class Lookup(Protocol):
    """Anything in which keys can be looked up."""

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """Return what is stored for each key; None if nothing is."""
