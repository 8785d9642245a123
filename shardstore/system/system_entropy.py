"""The real source of randomness: unguessable, since client ids are drawn from it.

`secrets` would give the same numbers, but loads OpenSSL: that is a tenth of what a command needs to start.
"""

from __future__ import annotations

from random import SystemRandom


class SystemEntropy:
    """The operating system's random numbers."""

    def __init__(self) -> None:
        self._random = SystemRandom()

    def below(self, bound: int) -> int:
        """A uniform integer in [0, bound)."""
        return self._random.randrange(bound)
