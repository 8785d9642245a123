"""The real source of random numbers. They are unguessable, as client ids are drawn from them.

`secrets` would give the same numbers, but it loads OpenSSL, which takes a tenth of the start-up time of a command.
"""

from __future__ import annotations

from random import SystemRandom


class SystemEntropy:
    """The operating system's random numbers."""

    def __init__(self) -> None:
        self._random = SystemRandom()

    def below(self, bound: int) -> int:
        """Return a uniform random integer in [0, bound)."""
        return self._random.randrange(bound)
