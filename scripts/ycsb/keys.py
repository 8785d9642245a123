"""Keys as YCSB makes them: `user` and the digits of a hash of the record's number, padded with zeros.

The hash is the 64-bit FNV-1a of the number's eight bytes. So keys of consecutive records are far apart, and all keys
are spread evenly between `user` with 20 zeros and `user` with the digits of 2**64 - 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PREFIX = b"user"
DIGITS = 20
KEY_BYTES = len(PREFIX) + DIGITS

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_BYTE = np.uint64(0xFF)
_GROUP_DIGITS = 4
_GROUP = np.uint64(10**_GROUP_DIGITS)
_GROUPS = DIGITS // _GROUP_DIGITS
_TEXT_OF_GROUP = np.array([b"%04d" % number for number in range(10**_GROUP_DIGITS)], dtype="S4")


def hashes_of(numbers: NDArray[Any]) -> NDArray[np.uint64]:
    """The FNV-1a hash of each number."""
    numbers = numbers.astype(np.uint64)
    hashes = np.full(len(numbers), _FNV_OFFSET)
    for shift in range(0, 64, 8):
        hashes = (hashes ^ (numbers >> np.uint64(shift) & _BYTE)) * _FNV_PRIME
    return hashes


def keys_of(hashes: NDArray[np.uint64]) -> list[bytes]:
    """The keys of records with these hashes. Digits are looked up four at a time."""
    columns = np.empty((len(hashes), 1 + _GROUPS), dtype="S4")
    columns[:, 0] = PREFIX
    for column in range(_GROUPS, 0, -1):
        left = hashes // _GROUP
        columns[:, column] = _TEXT_OF_GROUP[(hashes - left * _GROUP).astype(np.intp)]
        hashes = left
    return columns.view(f"S{KEY_BYTES}").ravel().tolist()


def hash_in(key: bytes) -> int:
    """The hash in a key."""
    return int(key[len(PREFIX) :])
