"""The real source of randomness: unguessable, since client ids are drawn from it."""

from __future__ import annotations

import secrets


class SystemEntropy:
    """The operating system's random numbers."""

    def below(self, bound: int) -> int:
        """A uniform integer in [0, bound)."""
        return secrets.randbelow(bound)
