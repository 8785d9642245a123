"""Values that tell whether they are right.

    | version u64 | hash of the key u64 | length of the value u32 | crc32 of these u32 | filler ... |    little endian

The filler is a slice of fixed random bytes, from the place that the checksum names. So a value of another key, of two
writes mixed, or cut off is not what its own version makes for its key, and `is_right` sees it by one comparison.
"""

from __future__ import annotations

import struct
from zlib import crc32

import numpy as np

from ycsb.keys import hash_in

_HEADER = struct.Struct("<QQI")
_CHECKSUM_BYTES = 4
VALUE_BYTES_MIN = _HEADER.size + _CHECKSUM_BYTES
_PLACES = 1 << 16
_FILLER_SEED = 17
"""Fixed: every process of every run has the same filler."""


class Values:
    """Makes and recognises values of one size."""

    def __init__(self, value_bytes: int) -> None:
        assert value_bytes >= VALUE_BYTES_MIN
        self._value_bytes = value_bytes
        self._filler_bytes = value_bytes - VALUE_BYTES_MIN
        self._filler = np.random.default_rng(_FILLER_SEED).bytes(_PLACES + self._filler_bytes)

    def make(self, key_hash: int, version: int) -> bytes:
        """The value of this version for the key with this hash."""
        header = _HEADER.pack(version, key_hash, self._value_bytes)
        checksum = crc32(header)
        place = checksum % _PLACES
        return header + checksum.to_bytes(_CHECKSUM_BYTES, "little") + self._filler[place : place + self._filler_bytes]

    def is_right(self, key: bytes, value: bytes) -> bool:
        """Whether some writer wrote exactly this value for this key."""
        if len(value) != self._value_bytes:
            return False
        version = int.from_bytes(value[:8], "little")
        return value == self.make(hash_in(key), version)
