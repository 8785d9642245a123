"""False and True, each of which has a code of its own."""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.keys.elements.codes import FALSE, TRUE
from shardstore.keys.elements.element import Element, Malformed

_ELEMENTS = (bytes([FALSE]), bytes([TRUE]))


class BoolElement(Element[bool]):
    """Writes the code and nothing else."""

    kind = bool
    name = "bool"

    def encode(self, value: bool) -> bytes:
        """Return the code of a bool."""
        return _ELEMENTS[value]

    def encode_column(self, values: Sequence[bool]) -> list[bytes]:
        """Return the code of each bool."""
        return list(map(_ELEMENTS.__getitem__, values))

    def decode(self, data: bytes, at: int, end: int) -> tuple[bool, int]:
        """Return the bool at a place."""
        if data[at] not in (FALSE, TRUE):
            raise Malformed(f"no bool at byte {at}")
        return data[at] == TRUE, at + 1
