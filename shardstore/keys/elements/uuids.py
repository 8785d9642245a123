"""UUIDs: their 16 bytes, which sort as the UUIDs do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from operator import attrgetter
from uuid import UUID

from shardstore.keys.elements.batch import EncodedKeys, Places
from shardstore.keys.elements.codes import UUID_CODE
from shardstore.keys.elements.element import Element, checked_fixed

UUID_BYTES = 16
_CODE = bytes([UUID_CODE])
_number_of = attrgetter("int")


class UuidElement(Element[UUID]):
    """Writes the 16 bytes of a UUID."""

    kind = UUID
    name = "UUID"

    def accepts(self, kind: type) -> bool:
        """Whether it is UUID itself. A subclass may mean more than the 16 bytes."""
        return kind is UUID

    def encode(self, value: UUID) -> bytes:
        """Return the bytes of a UUID."""
        return _CODE + value.bytes

    def encode_column(self, values: Sequence[UUID]) -> list[bytes]:
        """Return the bytes of each UUID."""
        return list(map(_CODE.__add__, packed_uuids(values)))

    def decode(self, data: bytes, at: int, end: int) -> tuple[UUID, int]:
        """Return the UUID at a place."""
        packed = checked_fixed(data, at, end, UUID_CODE, UUID_BYTES, self.name)
        return UUID(bytes=packed), at + 1 + UUID_BYTES

    def decode_column(self, batch: EncodedKeys, places: Places) -> tuple[list[UUID], Places]:
        """Return the UUIDs at these places."""
        after = places + 1 + UUID_BYTES
        if ((batch.codes(places) != UUID_CODE) | (after > batch.ends)).any():
            return super().decode_column(batch, places)
        return unpacked_uuids(batch.rows(places + 1, UUID_BYTES)), after


def packed_uuids(values: Sequence[UUID]) -> list[bytes]:
    """Return the 16 bytes of each UUID."""
    return list(map(int.to_bytes, map(_number_of, values), repeat(UUID_BYTES)))


def unpacked_uuids(packed: Sequence[bytes]) -> list[UUID]:
    """Return the UUID of each 16 bytes."""
    return list(map(UUID, repeat(None), packed))
