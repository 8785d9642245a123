"""Distributions that choose the records of operations: seeded, drawn in blocks by numpy.

Every distribution has `draw(existing)`: `existing` holds the number of records that exist at each operation, and the
result holds a record number below it for each. Records 0 to `records` - 1 were loaded; later ones were inserted by
the operations themselves.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ycsb.keys import hashes_of

THETA = 0.99
"""The skew of YCSB, which calls it the zipfian constant."""
SCRAMBLED_RANKS = 10_000_000_000
"""YCSB draws ranks of this many items and folds them onto the records."""
SUMMED_TERMS = 100_000


class Chooser(Protocol):
    """Chooses records."""

    def draw(self, existing: NDArray[np.int64]) -> NDArray[np.int64]:
        """A record number below each entry of `existing`."""


def zeta(items: int, theta: float = THETA) -> float:
    """The sum of 1 / i**theta for i from 1 to `items`; the tail by the Euler-Maclaurin formula."""
    summed = min(items, SUMMED_TERMS)
    head = float(np.sum(np.arange(1, summed + 1, dtype=np.float64) ** -theta))
    integral = (items ** (1 - theta) - summed ** (1 - theta)) / (1 - theta)
    ends = (items**-theta - summed**-theta) / 2
    return float(head + integral + ends)


class ZipfianRanks:
    """Ranks from 0 on, where the share of rank r is proportional to 1 / (r + 1)**THETA.

    The algorithm of Gray et al., "Quickly generating billion-record synthetic databases" (1994), is exact for the ranks
    0 and 1, and approximate for the others.
    """

    def __init__(self, items: int, random: np.random.Generator) -> None:
        self._items = items
        self._random = random
        self._zeta = zeta(items)
        self._alpha = 1 / (1 - THETA)
        first_two = zeta(min(items, 2))
        self._eta = (1 - (2 / items) ** (1 - THETA)) / (1 - first_two / self._zeta) if items > 2 else 0.0

    def draw(self, count: int) -> NDArray[np.int64]:
        """Draw `count` ranks."""
        uniform = self._random.random(count)
        ranks = (self._items * (self._eta * (uniform - 1) + 1) ** self._alpha).astype(np.int64)
        scaled = uniform * self._zeta
        ranks[scaled < 1 + 0.5**THETA] = 1
        ranks[scaled < 1] = 0
        return np.minimum(ranks, self._items - 1)


class ScrambledZipfian:
    """Zipfian over the loaded records, with the hot ones spread by a hash. Inserted records are not chosen."""

    def __init__(self, records: int, random: np.random.Generator) -> None:
        self._records = np.uint64(records)
        self._ranks = ZipfianRanks(SCRAMBLED_RANKS, random)

    def draw(self, existing: NDArray[np.int64]) -> NDArray[np.int64]:
        """See Chooser."""
        ranks = self._ranks.draw(len(existing))
        return (hashes_of(ranks) % self._records).astype(np.int64)


class Latest:
    """Zipfian by age: the newest record is the hottest, then the one before it, and so on."""

    def __init__(self, records: int, random: np.random.Generator) -> None:
        self._ages = ZipfianRanks(records, random)

    def draw(self, existing: NDArray[np.int64]) -> NDArray[np.int64]:
        """See Chooser."""
        return existing - 1 - self._ages.draw(len(existing))


class Uniform:
    """All existing records are equally likely."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random

    def draw(self, existing: NDArray[np.int64]) -> NDArray[np.int64]:
        """See Chooser."""
        return self._random.integers(0, existing)


class Hotspot:
    """A fraction of the operations goes uniformly to the first records, the rest uniformly to the other loaded ones."""

    def __init__(
        self, records: int, record_fraction: float, operation_fraction: float, random: np.random.Generator
    ) -> None:
        self._records = records
        self._hot = min(records, max(1, round(records * record_fraction)))
        self._operation_fraction = operation_fraction if self._hot < records else 1.0
        self._random = random

    def draw(self, existing: NDArray[np.int64]) -> NDArray[np.int64]:
        """See Chooser."""
        hot = self._random.random(len(existing)) < self._operation_fraction
        return self._random.integers(np.where(hot, 0, self._hot), np.where(hot, self._hot, self._records))
