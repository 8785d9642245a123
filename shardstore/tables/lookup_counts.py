"""Statistics of lookups in tables."""

from __future__ import annotations

from dataclasses import dataclass

from shardstore.stats_schema import LookupStats


@dataclass(slots=True)
class LookupCounts:
    """Counts lookups and the results of Bloom filters. A key looked up in three tables counts three times.

    keys             keys looked up in a table
    found            of these, keys the table holds
    filtered         keys checked against a filter; single keys use the hash index alone
    passed           of these, keys the filter let pass
    passed_falsely   of these, keys the table does not hold
    """

    keys: int = 0
    found: int = 0
    filtered: int = 0
    passed: int = 0
    passed_falsely: int = 0

    def note_batch(self, keys: int, passed: int, found: int) -> None:
        """Count a batch of keys: how many there are, how many passed the filter, and how many were found."""
        self.keys += keys
        self.found += found
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
