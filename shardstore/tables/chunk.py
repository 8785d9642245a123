"""What is read of a layer: single keys, or a stretch in key order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shardstore.identifiers import Stored


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive entries of a layer, ascending. Unless `exhausted`, the layer holds more beyond the far end."""

    keys: Sequence[bytes]
    values: Sequence[Stored]
    exhausted: bool


class Lookup(Protocol):
    """Anything that can be asked for keys."""

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """What is held for each key; None for nothing."""
