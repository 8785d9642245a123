"""Seam: random numbers. Each process makes one source at its start and passes it on. Real form: system_entropy.py."""

from __future__ import annotations

from typing import Protocol


class Entropy(Protocol):
    """A source of random integers."""

    def below(self, bound: int) -> int:
        """Return a uniform random integer in [0, bound)."""
