"""The reply to TTL: the milliseconds that the value of a key has left, 8 bytes, signed and little-endian."""

from __future__ import annotations

import struct
from typing import Final

from shardstore.identifiers import Buffer

NO_VALUE: Final = -2
"""The key has no value."""
NO_END: Final = -1
"""The value does not expire."""
_LEFT = struct.Struct("<q")


def encode_ttl(left_ms: int) -> bytes:
    """Encode the milliseconds that are left, NO_VALUE or NO_END."""
    return _LEFT.pack(left_ms)


def decode_ttl(frame: Buffer) -> int:
    """Decode a frame of `encode_ttl`. Raises ValueError."""
    if len(frame) != _LEFT.size:
        raise ValueError(f"{len(frame)} bytes are no lifetime")
    left_ms: int = _LEFT.unpack(frame)[0]
    return left_ms
