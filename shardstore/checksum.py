"""The checksum of all files and records: XXH3-64 with a 64-bit seed (https://xxhash.com).

The seed binds bytes to their place: a record copied from another log, or a block copied from another file, fails its
check. This guards against accidents, not against an attacker.
"""

from __future__ import annotations

import xxhash

checksum = xxhash.xxh3_64_intdigest
"""checksum(data, seed=0): 64-bit checksum of data. An alias, as a wrapper function would double the cost."""
