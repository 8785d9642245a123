"""When a segment's tables are merged without being asked, chosen from plain numbers."""

from __future__ import annotations

TABLES_MAX = 8
"""A read may have to ask each table, so their number is bounded."""


def wants_compaction(tables: int) -> bool:
    """Whether a segment with this many tables should be compacted."""
    return tables >= TABLES_MAX
