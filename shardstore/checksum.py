"""The one checksum of every file and record: XXH3-64 with a 64-bit seed (https://xxhash.com).

The seed binds bytes to their place: a record that was copied from another log, or a block from another file,
fails its check. It guards against accidents, not against an attacker.
"""

from __future__ import annotations

import xxhash

from shardstore.identifiers import Buffer


def checksum(data: Buffer, seed: int = 0) -> int:
    """64-bit checksum of `data`."""
    return xxhash.xxh3_64_intdigest(data, seed)
