"""The randomness of a simulation: independent named streams from one seed.

A new draw in one stream does not change the others. The derivation does not depend on PYTHONHASHSEED.
"""

from __future__ import annotations

import hashlib
import random


def stream(seed: int, name: str) -> random.Random:
    """The random stream with this name."""
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=16).digest()
    return random.Random(int.from_bytes(digest, "little"))


class SimEntropy:
    """The entropy seam over one stream."""

    def __init__(self, seed: int, name: str) -> None:
        self._random = stream(seed, name)

    def below(self, bound: int) -> int:
        """A uniform integer in [0, bound)."""
        return self._random.randrange(bound)
