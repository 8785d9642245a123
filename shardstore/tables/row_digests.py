"""Digests of keys of one length, which are the rows of an array: each step of MurmurHash3 handles all keys.

    blocks   of 16 bytes, as two words each; the last one is filled up with zero bytes
    mixed    one block after the other into the two words of the digest; the filled one in a shorter way
    final    the length, and a last mixing

So a key takes a quarter of the time that it takes alone, if there are many.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from shardstore.tables.digests import Digests, digests_of
from shardstore.tables.table_format import FixedItems

MANY_ROWS = 4_096
"""Fewer keys are hashed one by one, as array operations have a higher fixed cost."""
LONG_ROW_BYTES = 64
"""Longer keys are hashed one by one, as array operations take more time for each block."""
HashWords: TypeAlias = npt.NDArray[np.uint64]
_BLOCK_BYTES = 16
_WORD_BITS = 64
_FIRST, _SECOND = np.uint64(0x87C3_7B91_1142_53D5), np.uint64(0x4CF5_AD43_2745_937F)
_FINAL = np.uint64(0xFF51_AFD7_ED55_8CCD), np.uint64(0xC4CE_B9FE_1A85_EC53)
_FINAL_SHIFT = np.uint64(33)


def digests_of_rows(rows: FixedItems, keys: Iterable[bytes]) -> Digests:
    """Return the digests of the keys that are these rows."""
    if len(rows) < MANY_ROWS or rows.itemsize > LONG_ROW_BYTES:
        return digests_of(keys)
    whole, rest = divmod(rows.itemsize, _BLOCK_BYTES)
    words = _words_of(rows, whole + bool(rest))
    both = np.zeros((2, len(rows)), np.uint64)
    one, two = both
    for at in range(0, 2 * whole, 2):
        one ^= _mixed(words[:, at], _FIRST, 31, _SECOND)
        _step(one, 27, two, 0x52DC_E729)
        two ^= _mixed(words[:, at + 1], _SECOND, 33, _FIRST)
        _step(two, 31, one, 0x3849_5AB5)
    if rest:
        one ^= _mixed(words[:, -2], _FIRST, 31, _SECOND)
        two ^= _mixed(words[:, -1], _SECOND, 33, _FIRST)
    both ^= np.uint64(rows.itemsize)
    _add_each_other(one, two)
    for factor in _FINAL:
        both ^= both >> _FINAL_SHIFT
        both *= factor
    both ^= both >> _FINAL_SHIFT
    _add_each_other(one, two)
    return np.ascontiguousarray(both.T)


def _words_of(rows: FixedItems, blocks: int) -> HashWords:
    """Return the words of the blocks of each key, one row for each key."""
    content = rows.view(np.uint8).reshape(len(rows), rows.itemsize)
    if rows.itemsize % _BLOCK_BYTES:
        filled = np.zeros((len(rows), blocks * _BLOCK_BYTES), np.uint8)
        filled[:, : rows.itemsize] = content
        content = filled
    return content.view("<u8")


def _mixed(words: HashWords, factor: np.uint64, bits: int, other_factor: np.uint64) -> HashWords:
    mixed = words * factor
    _rotate(mixed, bits)
    mixed *= other_factor
    return mixed


def _step(words: HashWords, bits: int, others: HashWords, addend: int) -> None:
    _rotate(words, bits)
    words += others
    words *= np.uint64(5)
    words += np.uint64(addend)


def _rotate(words: HashWords, bits: int) -> None:
    low = words >> np.uint64(_WORD_BITS - bits)
    words <<= np.uint64(bits)
    words |= low


def _add_each_other(one: HashWords, two: HashWords) -> None:
    one += two
    two += one
