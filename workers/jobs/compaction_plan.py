"""Which tables a compaction carries into the new main by name, and which ranges of keys it rewrites.

    base     the parts of the older main, in key order          [  a  ] [ b ]      [   c   ]
    newer    the tables that are merged into it                           xx           x        xxxxxx
    steps    carried parts, and rewrites between them           [  a  ] |b, x|     |  c, x | [ xxxxxx ]

A part is carried if no newer table holds a key inside its interval. A newer table is carried ("moved") if it is large
enough for a part, has no tombstones, and overlaps no other table. The keys between two carried tables are rewritten,
together with neighbours that are smaller than a part should be. But a single table that holds all these keys and has no
tombstones is carried, as it would only be copied. Virtual parts and tables of a
former format version are carried like others, unless the compaction trims, and tables with expired values unless it
removes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeAlias

from shardstore.key_range import KeyRange
from shardstore.tables.table_format import TableRecord

Holds: TypeAlias = Callable[[TableRecord, KeyRange], bool]
"""Whether a table has a key in the range."""
IsClean: TypeAlias = Callable[[TableRecord], bool]
"""Whether a table may be carried, whatever the other tables hold."""


class Rewrite(NamedTuple):
    """A range of keys whose entries are rewritten, and the tables that hold them, oldest first."""

    key_range: KeyRange
    sources: list[TableRecord]


PlanStep: TypeAlias = TableRecord | Rewrite


def plan(
    base: Sequence[TableRecord],
    newer: Sequence[TableRecord],
    holds: Holds,
    part_min_bytes: int,
    is_oldest: bool,
    trims: bool = False,
    expired_by: int = 0,
) -> list[PlanStep]:
    """The steps in key order. `newer` is ordered from the oldest to the newest.

    `is_oldest`: nothing is below the base, so no tombstone is left. `trims`: no virtual part is left, and no table
    of a former format version. `expired_by`: the moment at which nothing may be left that has expired; 0 if it may.
    """

    def is_clean(table: TableRecord) -> bool:
        is_expired = bool(expired_by and table.expired_by(expired_by))
        is_former = trims and (table.is_virtual or table.is_old)
        return not (is_oldest and table.tombstones) and not is_former and not is_expired

    moved = set(filter(is_clean, _movable(base, newer, part_min_bytes)))
    parts = sorted([*base, *(table for table in newer if table in moved)], key=_key_first)
    rest = [table for table in newer if table not in moved]
    news = [[table for table in rest if region and holds(table, region)] for region in _regions(parts)]
    rewritten = _rewritten(parts, news, part_min_bytes, is_clean)
    steps: list[PlanStep] = []
    start, sources = b"", set(news[0])
    for number, part in enumerate(parts):
        if rewritten[number]:
            sources.update((part, *news[2 * number + 1]))
        else:
            steps += _rewrite(start, part.key_first, sources, base, newer, is_clean)
            steps.append(part)
            start, sources = _after(part.key_last), set()
        sources.update(news[2 * number + 2])
    return steps + _rewrite(start, b"", sources, base, newer, is_clean)


def _movable(base: Sequence[TableRecord], newer: Sequence[TableRecord], part_min_bytes: int) -> set[TableRecord]:
    """The newer tables that can become parts unchanged."""
    tables = sorted([*base, *newer], key=_key_first)
    reached = [b"", *accumulate([table.key_last for table in tables], max)]
    follows = [*(table.key_first for table in tables[1:]), b""]
    alone = {
        table
        for table, before, behind in zip(tables, reached, follows, strict=False)
        if before < table.key_first and (table.key_last < behind or not behind)
    }
    fit = {table for table in newer if not table.tombstones and table.share_bytes >= part_min_bytes}
    return alone & fit


def _regions(parts: Sequence[TableRecord]) -> list[KeyRange | None]:
    """All keys, cut: before the first part, in it, between it and the second, ...; None where no key can lie."""
    bounds = [b"", *(key for part in parts for key in (part.key_first, _after(part.key_last))), b""]
    return [KeyRange(start, end) if start < end or not end else None for start, end in pairwise(bounds)]


def _rewritten(
    parts: Sequence[TableRecord], news: Sequence[Sequence[TableRecord]], part_min_bytes: int, is_clean: IsClean
) -> list[bool]:
    """For each part, whether it is rewritten. `news`: the newer tables with keys in each region."""
    small = [part.share_bytes < part_min_bytes for part in parts]
    rewritten = [
        bool(
            news[2 * number + 1] or not is_clean(part) or (small[number] and (news[2 * number] or news[2 * number + 2]))
        )
        for number, part in enumerate(parts)
    ]
    for number in range(1, len(parts)):
        rewritten[number] |= small[number] and rewritten[number - 1]
    for number in reversed(range(len(parts) - 1)):
        rewritten[number] |= small[number] and rewritten[number + 1]
    return rewritten


def _rewrite(
    start: bytes,
    end: bytes,
    held_by: set[TableRecord],
    base: Sequence[TableRecord],
    newer: Sequence[TableRecord],
    is_clean: IsClean,
) -> list[PlanStep]:
    """The steps for the keys between two carried tables: none, one table that holds all of them, or a rewrite."""
    sources = [table for table in (*base, *newer) if table in held_by]
    if not sources:
        return []
    key_range, only = KeyRange(start, end), sources[0]
    is_whole = len(sources) == 1 and only.key_first in key_range and only.key_last in key_range
    return [only] if is_whole and not only.tombstones and is_clean(only) else [Rewrite(key_range, sources)]


def _key_first(table: TableRecord) -> bytes:
    return table.key_first


def _after(key: bytes) -> bytes:
    """The smallest key above this one."""
    return key + b"\0"
