"""Values that can be checked for correctness.

    | version u64 | hash of the key u64 | length of the value u32 | crc32 of these u32 | filler ... |    little endian

The filler is a slice of fixed random bytes that starts at a place derived from the checksum. A value of another key, a
mix of two writes, or a truncated value differs from the value of its version for its key, so `is_right` finds it with
one comparison.
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
"""Fixed, so that every process of every run has the same filler."""


class Values:
    """Makes and checks values of one size."""

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
        """Whether this is exactly a value that some writer made for this key."""
        if len(value) != self._value_bytes:
            return False
        version = int.from_bytes(value[:8], "little")
        return value == self.make(hash_in(key), version)
