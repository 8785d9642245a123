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

Mask: TypeAlias = npt.NDArray[np.bool_]

_WORDS = 8
_WORD_BITS = 32
_LINE_BITS = _WORDS * _WORD_BITS
_PLACE = np.uint64(_WORD_BITS - 1)
"""The bits that say which bit of a word a key sets."""
_SHIFTS = np.arange(0, 5 * _WORDS, 5, dtype=np.uint64)
_PAIR_SHIFTS = _SHIFTS[::2, None]
_BIT_OF_SECOND_WORD = np.uint64(5)
_FIRST_WORD, _SECOND_WORD = np.uint64(1), np.uint64(1 << _WORD_BITS)
"""The lowest bit of each word of a pair, which is read as one number."""


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
    """Reads an encoded filter, two words at a time.

    To numpy its lines are bytes, which need no alignment: if an array is not aligned, `take` copies all of it first.
    """

    def __init__(self, data: Buffer) -> None:
        self._lines = np.frombuffer(data, dtype=f"V{_LINE_BITS // 8}")

    def may_contain(self, digests: Digests) -> Mask:
        """Return for each key whether it may be in the table. False is certain."""
        if not len(self._lines):
            return np.ones(len(digests), dtype=np.bool_)
        lines = self._lines.take((digests[:, 0] % np.uint64(len(self._lines))).astype(np.intp))
        pairs = lines.view("<u8").reshape(-1, _WORDS // 2).T
        places = digests[:, 1] >> _PAIR_SHIFTS
        wanted = _FIRST_WORD << (places & _PLACE) | _SECOND_WORD << (places >> _BIT_OF_SECOND_WORD & _PLACE)
        may: Mask = (pairs & wanted == wanted).all(axis=0)
        return may
