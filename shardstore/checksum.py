"""The checksum of all files and records: XXH3-64 with a 64-bit seed (https://xxhash.com).

The seed binds bytes to their place: a record copied from another log, or a block copied from another file, fails its
check. This guards against accidents, not against an attacker.
"""

from __future__ import annotations

from collections.abc import Iterable

import xxhash

checksum = xxhash.xxh3_64_intdigest
"""checksum(data, seed=0): 64-bit checksum of data. An alias, as a wrapper function would double the cost."""


def checksum_of(pieces: Iterable[bytes | bytearray | memoryview], seed: int) -> int:
    """Return the checksum of these pieces as one, without joining them."""
    state = xxhash.xxh3_64(seed=seed)
    for piece in pieces:
        state.update(piece)
    return state.intdigest()
