"""The one checksum of every file and record: XXH3-64 with a 64-bit seed (https://xxhash.com).

The seed binds bytes to their place: a record that was copied from another log, or a block from another file,
fails its check. It guards against accidents, not against an attacker.
"""

from __future__ import annotations

import xxhash

checksum = xxhash.xxh3_64_intdigest
"""checksum(data, seed=0): 64-bit checksum of data. The function itself, since a call around it would cost as much."""
