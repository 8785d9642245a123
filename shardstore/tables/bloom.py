"""Bloom filter of a table: a split block filter, so one memory access decides about a key.

    line of 8 words of 32 bits  |  line  |  ...

A key belongs to one line and sets one bit in each of its words. With 10.5 bits per key, 1 % of absent keys pass.
(Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters; the filter of Parquet.)
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from shardstore.identifiers import Buffer
from shardstore.tables.digests import Digests

Bits: TypeAlias = npt.NDArray[np.uint32]
Mask: TypeAlias = npt.NDArray[np.bool_]

_WORDS = 8
_WORD_BITS = 32
_LINE_BITS = _WORDS * _WORD_BITS
_SHIFTS = np.arange(0, 5 * _WORDS, 5, dtype=np.uint64)


def build_bloom(digests: Digests, bits_per_key: float) -> bytes:
    """Return the encoded filter of these keys; empty for 0 bits per key."""
    if not bits_per_key:
        return b""
    lines = int(len(digests) * bits_per_key) // _LINE_BITS + 1
    bits = np.zeros(lines * _LINE_BITS, dtype=np.bool_)
    first_bits = digests[:, 0] % np.uint64(lines) * np.uint64(_LINE_BITS)
    for word, shift in enumerate(_SHIFTS):
        bits[first_bits + np.uint64(word * _WORD_BITS) + (digests[:, 1] >> shift) % np.uint64(_WORD_BITS)] = True
    return np.packbits(bits, bitorder="little").tobytes()


class BloomFilter:
    """Reads an encoded filter."""

    def __init__(self, data: Buffer) -> None:
        self._lines: Bits = np.frombuffer(data, dtype="<u4").reshape(-1, _WORDS)

    def may_contain(self, digests: Digests) -> Mask:
        """Return for each key whether it may be in the table. False is certain."""
        if not len(self._lines):
            return np.ones(len(digests), dtype=np.bool_)
        wanted = np.uint32(1) << ((digests[:, 1, None] >> _SHIFTS) % np.uint64(_WORD_BITS)).astype(np.uint32)
        missing = wanted & ~self._lines.take((digests[:, 0] % np.uint64(len(self._lines))).astype(np.intp), axis=0)
        return np.logical_not(missing.any(axis=1))
