"""The real source of randomness: unguessable, since client ids are drawn from it.

It does without the module `secrets`, which loads OpenSSL: that is a tenth of what a command needs to start.
"""

from __future__ import annotations

import os


class SystemEntropy:
    """The operating system's random numbers."""

    def below(self, bound: int) -> int:
        """A uniform integer in [0, bound)."""
        bits = (bound - 1).bit_length()
        length = (bits + 7) // 8
        while True:
            number = int.from_bytes(os.urandom(length), "big") >> (8 * length - bits)
            if number < bound:
                return number
