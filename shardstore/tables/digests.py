"""Hashes of keys for the hash index and the Bloom filter: MurmurHash3 x64 128, two 64-bit words per key.

word 0    top bits: bucket of the hash index;  modulo the number of lines: line of the Bloom filter
word 1    top 16 bits: tag in the hash index;  low 40 bits: bits in the line of the Bloom filter
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import mmh3
import numpy as np
import numpy.typing as npt

Digests: TypeAlias = npt.NDArray[np.uint64]
"""One row of two words per key."""


def digests_of(keys: Iterable[bytes]) -> Digests:
    """Return the digests of many keys."""
    return np.frombuffer(b"".join(map(mmh3.mmh3_x64_128_digest, keys)), dtype="<u8").reshape(-1, 2)


def digest_of(key: bytes) -> tuple[int, int]:
    """Return the two words of one key's digest."""
    return mmh3.mmh3_x64_128_utupledigest(key)
