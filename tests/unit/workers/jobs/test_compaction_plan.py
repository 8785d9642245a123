"""The plan of a compaction: which tables are carried over, and what is rewritten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from shardstore.key_range import KeyRange
from shardstore.tables.table_format import TableRecord
from shardstore.workers.jobs.compaction_plan import PlanStep, Rewrite, plan

PART_MIN = 100
LARGE = 500
SMALL = 20


class Tables:
    """Makes tables with one-letter keys, and records their content."""

    def __init__(self) -> None:
        self.keys: dict[int, list[bytes]] = {}

    def table(self, keys: str, file_bytes: int = LARGE, tombstones: int = 0) -> TableRecord:
        number = len(self.keys) + 1
        self.keys[number] = content = [bytes([code]) for code in sorted(keys.encode())]
        return TableRecord(number, file_bytes, len(keys), tombstones, content[0], content[-1], 0)

    def virtual(self, keys: str, file_bytes: int = LARGE) -> TableRecord:
        """A virtual part: half of a file of twice the size."""
        table = self.table(keys, 2 * file_bytes)
        return replace(table, start=table.key_first, end=b"~", file_entries=2 * table.entries)

    def holds(self, table: TableRecord, key_range: KeyRange) -> bool:
        return any(key in key_range for key in self.keys[table.number])

    def plan(
        self,
        base: Iterable[TableRecord],
        newer: Iterable[TableRecord],
        is_oldest: bool = True,
        trims: bool = False,
    ) -> list[tuple[str, list[int]]]:
        """Each step as a word and the numbers of its tables."""
        steps = plan(list(base), list(newer), self.holds, PART_MIN, is_oldest, trims)
        self.check(steps)
        return [
            ("write", [table.number for table in step.sources])
            if isinstance(step, Rewrite)
            else ("carry", [step.number])
            for step in steps
        ]

    def check(self, steps: list[PlanStep]) -> None:
        """Check that every key lies in exactly one step, and that a rewrite names all tables with keys in its range."""
        seen: list[bytes] = []
        for step in steps:
            if isinstance(step, Rewrite):
                named = {table.number for table in step.sources}
                assert named == {n for n, keys in self.keys.items() if any(key in step.key_range for key in keys)}
                seen += sorted({key for n in named for key in self.keys[n] if key in step.key_range})
            else:
                seen += self.keys[step.number]
        assert seen == sorted({key for keys in self.keys.values() for key in keys})


def test_nothing_comes_of_nothing() -> None:
    assert Tables().plan([], []) == []


def test_untouched_parts_are_carried_and_touched_ones_written() -> None:
    tables = Tables()
    base = [tables.table("abc"), tables.table("efg"), tables.table("ijk")]
    delta = tables.table("f", SMALL)
    assert tables.plan(base, [delta]) == [("carry", [1]), ("write", [2, 4]), ("carry", [3])]


def test_an_interval_that_spans_a_part_without_a_key_in_it_does_not_touch_it() -> None:
    tables = Tables()
    base = [tables.table("abc"), tables.table("efg"), tables.table("ijk")]
    delta = tables.table("bj", SMALL)
    assert tables.plan(base, [delta]) == [("write", [1, 4]), ("carry", [2]), ("write", [3, 4])]


def test_neighbours_that_are_touched_are_written_together() -> None:
    tables = Tables()
    base = [tables.table("abc"), tables.table("efg"), tables.table("ijk")]
    deltas = [tables.table("b", SMALL), tables.table("dg", SMALL)]
    assert tables.plan(base, deltas) == [("write", [1, 2, 4, 5]), ("carry", [3])]


def test_keys_in_a_gap_after_a_large_part_become_a_part_of_their_own() -> None:
    tables = Tables()
    base = [tables.table("abc"), tables.table("ijk")]
    newer = [tables.table("eg", SMALL), tables.table("f", SMALL)]
    assert tables.plan(base, newer) == [("carry", [1]), ("write", [3, 4]), ("carry", [2])]


def test_a_small_table_that_would_only_be_copied_is_moved() -> None:
    tables = Tables()
    base = [tables.table("abc"), tables.table("ijk")]
    assert tables.plan(base, [tables.table("ef", SMALL)]) == [("carry", [1]), ("carry", [3]), ("carry", [2])]
    tables = Tables()
    assert tables.plan([tables.table("abc")], [tables.table("xy", SMALL, tombstones=1)]) == [
        ("carry", [1]),
        ("write", [2]),
    ]


def test_keys_in_a_gap_after_a_small_part_go_with_it() -> None:
    tables = Tables()
    base = [tables.table("abc", SMALL), tables.table("ijk")]
    assert tables.plan(base, [tables.table("ef", SMALL)]) == [("write", [1, 3]), ("carry", [2])]


def test_what_is_appended_leaves_large_parts_alone_and_fills_a_small_last_one() -> None:
    tables = Tables()
    base = [tables.table("abc"), tables.table("def", SMALL)]
    assert tables.plan(base, [tables.table("xyz", SMALL)]) == [("carry", [1]), ("write", [2, 3])]


def test_a_table_alone_in_a_gap_is_moved_if_it_is_a_part_already() -> None:
    tables = Tables()
    base = [tables.table("abc"), tables.table("ijk")]
    assert tables.plan(base, [tables.table("ef")]) == [("carry", [1]), ("carry", [3]), ("carry", [2])]


def test_tables_that_follow_each_other_are_all_moved() -> None:
    tables = Tables()
    base = [tables.table("abc")]
    newer = [tables.table("xyz"), tables.table("def"), tables.table("ghi")]
    assert tables.plan(base, newer) == [("carry", [1]), ("carry", [3]), ("carry", [4]), ("carry", [2])]


def test_what_cannot_be_moved() -> None:
    for keys, file_bytes, tombstones, other in (
        ("ef", PART_MIN - 1, 0, "f"),  # too small, and not alone
        ("ef", PART_MIN, 1, ""),  # tombstones
        ("cd", PART_MIN, 0, ""),  # touches a part
        ("ef", PART_MIN, 0, "f"),  # not alone
        ("dg", PART_MIN, 0, "ef"),  # another lies inside it
    ):
        tables = Tables()
        base = [tables.table("abc"), tables.table("ijk")]
        newer = [tables.table(keys, file_bytes, tombstones), *([tables.table(other, SMALL)] if other else [])]
        assert ("carry", [3]) not in tables.plan(base, newer), (keys, file_bytes, tombstones, other)


def test_a_small_part_beside_a_moved_table_is_carried() -> None:
    tables = Tables()
    base = [tables.table("abc", SMALL)]
    assert tables.plan(base, [tables.table("xyz")]) == [("carry", [1]), ("carry", [2])]


def test_small_parts_in_a_row_are_written_with_a_touched_neighbour() -> None:
    tables = Tables()
    base = [tables.table("ab", SMALL), tables.table("cd", SMALL), tables.table("efg"), tables.table("ij", SMALL)]
    assert tables.plan(base, [tables.table("f", SMALL)]) == [("write", [1, 2, 3, 4, 5])]
    tables = Tables()
    base = [tables.table("ab"), tables.table("cd"), tables.table("efg"), tables.table("ij")]
    assert tables.plan(base, [tables.table("f", SMALL)])[2] == ("write", [3, 5])


def test_a_part_with_tombstones_is_carried_unless_nothing_lies_below() -> None:
    tables = Tables()
    base = [tables.table("abc", tombstones=1), tables.table("efg")]
    assert tables.plan(base, [], is_oldest=False) == [("carry", [1]), ("carry", [2])]
    assert tables.plan(base, [], is_oldest=True) == [("write", [1]), ("carry", [2])]


def test_sources_go_from_the_oldest_to_the_newest() -> None:
    tables = Tables()
    base = [tables.table("ae")]
    newer = [tables.table("c", SMALL), tables.table("b", SMALL), tables.table("d", SMALL)]
    assert tables.plan(base, newer) == [("write", [1, 2, 3, 4])]


def test_virtual_parts_are_carried_and_moved_like_others_unless_the_compaction_trims() -> None:
    tables = Tables()
    base = [tables.virtual("ab"), tables.table("cd"), tables.virtual("ef")]
    newer = [tables.virtual("gh"), tables.table("e")]
    assert tables.plan(base, newer) == [("carry", [1]), ("carry", [2]), ("write", [3, 5]), ("carry", [4])]
    assert tables.plan(base, newer, trims=True) == [("write", [1]), ("carry", [2]), ("write", [3, 4, 5])]


def test_a_virtual_part_is_as_small_as_its_share() -> None:
    tables = Tables()
    base = [tables.virtual("ab", PART_MIN - 1), tables.table("de")]
    assert tables.plan(base, [tables.table("c", SMALL)]) == [("write", [1, 3]), ("carry", [2])]
    tables = Tables()
    base = [tables.virtual("ab", PART_MIN), tables.table("de")]
    assert tables.plan(base, [tables.table("c", SMALL)])[0] == ("carry", [1])
