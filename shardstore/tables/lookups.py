"""Figures of lookups in tables."""

from __future__ import annotations

from dataclasses import dataclass

from shardstore.stats_schema import LookupStats


@dataclass(slots=True)
class Lookups:
    """How often tables were asked, and what their Bloom filters did. One key asked of three tables counts three times.

    keys             keys asked of a table
    found            of these, keys it held
    filtered         keys asked of a filter; a single key is settled by the hash index alone
    passed           of these, keys it let pass
    passed_falsely   of these, keys the table did not hold
    """

    keys: int = 0
    found: int = 0
    filtered: int = 0
    passed: int = 0
    passed_falsely: int = 0

    def note_batch(self, keys: int, passed: int, found: int) -> None:
        """A batch went through a filter, and then through a table."""
        self.keys += keys
        self.found += found
        self.filtered += keys
        self.passed += passed
        self.passed_falsely += passed - found

    def figures(self) -> LookupStats:
        """The counts by name."""
        return {
            "keys": self.keys,
            "found": self.found,
            "filtered": self.filtered,
            "passed": self.passed,
            "passed_falsely": self.passed_falsely,
        }
