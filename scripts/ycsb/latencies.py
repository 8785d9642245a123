"""Latencies in an HDR histogram: nanoseconds with three significant digits, up to an hour.

The package hdrhistogram defines the histogram and its encoding. Numpy works on its array of counts, because its own
methods run Python code for every value and every count. A value of more than SUB_BITS bits shares its count with all
values of the same length that have the same first SUB_BITS bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

HIGHEST_NS = 3_600 * 10**9
SIGNIFICANT_DIGITS = 3
SUB_BITS = 11
"""2**11 is the first power of two above 2 * 10**SIGNIFICANT_DIGITS, as the format requires."""

Sparse: TypeAlias = tuple[NDArray[np.int64], NDArray[np.uint64]]
"""The indexes of counts that are not 0, and these counts."""


def _indexes_of(values_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """The index of the count of each value."""
    _, bits = np.frexp(values_ns.astype(np.float64))
    shifts = np.maximum(bits - SUB_BITS, 0)
    indexes: NDArray[np.int64] = (shifts << (SUB_BITS - 1)) + (values_ns >> shifts)
    return indexes


def _highest_values(counts: int) -> NDArray[np.int64]:
    """The highest value counted at each index."""
    half = 1 << (SUB_BITS - 1)
    indexes = np.arange(counts, dtype=np.int64)
    shifts = np.maximum(indexes // half - 1, 0)
    lowest = (indexes - shifts * half) << shifts
    highest: NDArray[np.int64] = lowest + (1 << shifts) - 1
    return highest


class Latencies:
    """A histogram of latencies."""

    def __init__(self, histogram: Any = None) -> None:
        self._histogram = histogram or HdrHistogram(1, HIGHEST_NS, SIGNIFICANT_DIGITS)
        self._counts = np.frombuffer(self._histogram.counts, dtype=np.uint64)

    @classmethod
    def decode(cls, encoded: bytes) -> Latencies:
        """Inverse of `encode`."""
        return cls(HdrHistogram.decode(encoded))

    def encode(self) -> bytes:
        """The standard form of HDR histograms (V2, compressed, base64), which other tools read too."""
        met = np.flatnonzero(self._counts)
        ends = (int(met[0]), int(met[-1])) if len(met) else (-1, -1)
        self._histogram.set_internal_tacking_values(*ends, self.count)
        encoded: bytes = self._histogram.encode()
        return encoded

    def record(self, values_ns: NDArray[np.int64]) -> None:
        """Count these latencies."""
        indexes, counts = np.unique(_indexes_of(np.clip(values_ns, 0, HIGHEST_NS)), return_counts=True)
        self._counts[indexes] += counts.astype(np.uint64)

    def add(self, other: Latencies) -> None:
        """Add all counts of the other histogram."""
        self._counts += other._counts

    def sparse(self) -> Sparse:
        """The counts that are not 0, a form small enough to keep many."""
        met = np.flatnonzero(self._counts)
        return met, self._counts[met]

    def add_sparse(self, sparse: Sparse) -> None:
        """Add the counts that `sparse` of another histogram returned."""
        met, counts = sparse
        self._counts[met] += counts

    @property
    def count(self) -> int:
        """The number of latencies."""
        return int(self._counts.sum())

    @property
    def max_ns(self) -> int:
        """The maximum latency; 0 if there is none."""
        met = np.flatnonzero(self._counts)
        return int(_highest_values(len(self._counts))[met[-1]]) if len(met) else 0

    @property
    def mean_ns(self) -> float:
        """The mean latency; 0 if there is none."""
        return float(self._counts @ _highest_values(len(self._counts))) / max(1, self.count)

    def percentiles_ns(self, percentiles: Sequence[float]) -> list[int]:
        """The latency at each of the percentiles; 0 if there is none."""
        up_to = np.cumsum(self._counts)
        if up_to[-1] == 0:
            return [0] * len(percentiles)
        wanted = np.maximum(1, np.ceil(np.array(percentiles) / 100 * float(up_to[-1]))).astype(np.uint64)
        highest = _highest_values(len(self._counts))
        return [int(value) for value in highest[np.searchsorted(up_to, wanted)]]
