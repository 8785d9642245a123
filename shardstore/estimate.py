"""What `estimate` returns."""

from __future__ import annotations

from typing import NamedTuple


class Estimate(NamedTuple):
    """About how many keys have a value in a range of keys.

    Attributes:
        entries: About how many keys have a value. The number is at most `error` too large or too small.
        bytes: About how many bytes of files and memory they take, with what was deleted or overwritten and is not
            compacted yet.
        error: How far `entries` may be off; 0: it is exact.
    """

    entries: int
    bytes: int
    error: int

    def plus(self, other: Estimate) -> Estimate:
        """Return the estimate of two ranges without common keys."""
        return Estimate(self.entries + other.entries, self.bytes + other.bytes, self.error + other.error)
