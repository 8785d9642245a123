"""Seam: randomness, handed down from the root of each process. Real form: system_entropy.py."""

from __future__ import annotations

from typing import Protocol


class Entropy(Protocol):
    """A source of random integers."""

    def below(self, bound: int) -> int:
        """A uniform integer in [0, bound)."""
