"""Statistics of lookups in tables."""

from __future__ import annotations

from dataclasses import dataclass

from shardstore.stats_schema import LookupStats


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

    @property
    def most_are_absent(self) -> bool:
        """Whether fewer than half of the keys were found so far."""
        return 2 * self.found <= self.keys

    def note_batch(self, keys: int, found: int, passed: int | None) -> None:
        """Count a batch of keys: how many were found, and how many passed the filter; None if it was not asked."""
        self.keys += keys
        self.found += found
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
