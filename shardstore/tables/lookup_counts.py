"""Statistics of lookups in tables."""

from __future__ import annotations

from dataclasses import dataclass

from shardstore.stats_schema import LookupStats

LATEST_KEYS = 8_192
"""About so many keys of batches tell whether the next keys will be found."""


@dataclass(slots=True)
class LookupCounts:
    """Counts lookups and the results of Bloom filters. A key looked up in three tables counts three times.

    keys             keys looked up in a table
    found            of these, keys the table holds
    filtered         keys checked against a filter; the others were looked up in the hash index at once
    passed           of these, keys the filter let pass
    passed_falsely   of these, keys the table does not hold
    """

    keys: int = 0
    found: int = 0
    filtered: int = 0
    passed: int = 0
    passed_falsely: int = 0
    _latest: int = 0
    _latest_found: int = 0

    @property
    def most_are_absent(self) -> bool:
        """Whether at most half of the keys in the latest batches were found."""
        return 2 * self._latest_found <= self._latest

    def note_batch(self, keys: int, found: int, passed: int | None) -> None:
        """Count a batch of keys: how many were found, and how many passed the filter; None if it was not asked."""
        self.keys += keys
        self.found += found
        if self._latest >= LATEST_KEYS:
            self._latest //= 2
            self._latest_found //= 2
        self._latest += keys
        self._latest_found += found
        if passed is not None:
            self.filtered += keys
            self.passed += passed
            self.passed_falsely += passed - found

    def statistics(self) -> LookupStats:
        """The counts by name."""
        return {
            "keys": self.keys,
            "found": self.found,
            "filtered": self.filtered,
            "passed": self.passed,
            "passed_falsely": self.passed_falsely,
        }
