"""The compaction policy: from plain numbers to what to merge, and why."""

from __future__ import annotations

from itertools import pairwise

import pytest

from shardstore.limits import GIB, MIB
from shardstore.workers.jobs.specs import CompactionKind
from shardstore.workers.maintenance.policies.compaction_policy import (
    BOTTOMS_RATIO,
    DEAD_BYTES_MIN,
    DELTAS_MAX,
    KEYS_ASKED_MIN,
    OUTSIDE_BYTES_MIN,
    PASSED_MIN,
    PASSED_TOMBSTONES_MIN,
    PASSES_MIN,
    READ_AMPLIFICATION_MAX,
    TOMBSTONES_MIN,
    Compaction,
    FileLayerSizes,
    choose_compaction,
    may_become_due,
)


def chosen(sizes: FileLayerSizes) -> Compaction:
    compaction = choose_compaction(sizes)
    assert compaction is not None
    assert compaction.reason
    assert "\n" not in compaction.reason
    return compaction


def test_a_range_of_which_most_has_expired_is_merged() -> None:
    half = FileLayerSizes(main_bytes=GIB, entries=4_000, expired=2_000)
    assert choose_compaction(half) is None
    compaction = chosen(half._replace(expired=2_001))
    assert compaction == Compaction(
        CompactionKind.EVERYTHING, "0 of 4000 entries are tombstones, about 2001 have expired"
    )
    assert chosen(half._replace(expired=1_500, tombstones=300)).kind == CompactionKind.EVERYTHING
    assert choose_compaction(FileLayerSizes(main_bytes=1_000, entries=10, expired=10)) is None


@pytest.mark.parametrize(
    "sizes",
    [
        FileLayerSizes(),
        FileLayerSizes(deltas=DELTAS_MAX - 1, delta_bytes=GIB, main_bytes=GIB),
        FileLayerSizes(main_bytes=GIB, bottoms_bytes=(9 * GIB, 4 * GIB)),
        FileLayerSizes(main_bytes=GIB, outside_bytes=GIB),
        FileLayerSizes(main_bytes=MIB, outside_bytes=OUTSIDE_BYTES_MIN),
    ],
)
def test_what_is_in_good_order_is_left_alone(sizes: FileLayerSizes) -> None:
    assert choose_compaction(sizes) is None


def test_deltas_are_merged_at_their_bound() -> None:
    compaction = chosen(FileLayerSizes(deltas=DELTAS_MAX, delta_bytes=MIB, main_bytes=MIB))
    assert compaction.kind == CompactionKind.DELTAS
    assert f"{DELTAS_MAX} deltas" in compaction.reason


def test_twice_as_many_small_deltas_are_borne_over_a_large_main() -> None:
    assert choose_compaction(FileLayerSizes(deltas=2 * DELTAS_MAX - 1, delta_bytes=MIB, main_bytes=GIB)) is None
    assert chosen(FileLayerSizes(deltas=2 * DELTAS_MAX, delta_bytes=MIB, main_bytes=GIB)).kind == CompactionKind.DELTAS


def test_reads_that_ask_many_layers_bring_the_merge_forward() -> None:
    asked = KEYS_ASKED_MIN
    slow = int(asked * (READ_AMPLIFICATION_MAX + 1))
    sizes = FileLayerSizes(deltas=4, delta_bytes=MIB, main_bytes=MIB, keys_asked=asked, layers_asked=slow)
    assert chosen(sizes).kind == CompactionKind.DELTAS
    assert "5.0 layers" in chosen(sizes).reason
    assert choose_compaction(FileLayerSizes(4, MIB, MIB, keys_asked=asked - 1, layers_asked=slow)) is None, (
        "too few lookups to decide"
    )
    assert choose_compaction(FileLayerSizes(4, MIB, MIB, keys_asked=asked, layers_asked=4 * asked)) is None
    assert choose_compaction(FileLayerSizes(1, MIB, MIB, keys_asked=asked, layers_asked=slow)) is None
    assert choose_compaction(FileLayerSizes(4, MIB, GIB, keys_asked=asked, layers_asked=slow)) is None, (
        "small compared with the main"
    )


def test_the_newest_neighbours_of_like_size_are_merged_first() -> None:
    sizes = FileLayerSizes(bottoms_bytes=(9 * GIB, 4 * GIB, 4 * GIB))
    assert (chosen(sizes).kind, chosen(sizes).bottom) == (CompactionKind.BOTTOMS, 1)
    assert chosen(FileLayerSizes(bottoms_bytes=(8 * GIB, 4 * GIB))).bottom == 0
    assert choose_compaction(FileLayerSizes(bottoms_bytes=(8 * GIB + 1, 4 * GIB))) is None


def test_bottom_mains_are_not_kept_waiting_by_deltas_that_are_always_due() -> None:
    sizes = FileLayerSizes(deltas=4 * DELTAS_MAX, delta_bytes=GIB, main_bytes=GIB, bottoms_bytes=(GIB, GIB))
    assert chosen(sizes).kind == CompactionKind.BOTTOMS


def test_many_tombstones_are_worth_everything() -> None:
    many = FileLayerSizes(main_bytes=GIB, entries=4 * TOMBSTONES_MIN, tombstones=TOMBSTONES_MIN + 1)
    assert chosen(many).kind == CompactionKind.EVERYTHING
    assert "tombstones" in chosen(many).reason
    assert choose_compaction(FileLayerSizes(main_bytes=1000, entries=10, tombstones=5)) is None
    assert choose_compaction(FileLayerSizes(main_bytes=GIB, entries=10**9, tombstones=TOMBSTONES_MIN + 1)) is None


def test_a_range_whose_keys_are_all_deleted_is_compacted() -> None:
    """One tombstone for each value: half of the entries are tombstones, and all entries are dead."""
    sizes = FileLayerSizes(main_bytes=GIB, entries=2 * TOMBSTONES_MIN, tombstones=TOMBSTONES_MIN)
    assert sizes.dead_share == 1.0
    assert chosen(sizes).kind == CompactionKind.EVERYTHING


def test_few_tombstones_over_large_values_are_worth_everything() -> None:
    sizes = FileLayerSizes(main_bytes=DEAD_BYTES_MIN, entries=20, tombstones=10)
    assert chosen(sizes).kind == CompactionKind.EVERYTHING
    assert choose_compaction(FileLayerSizes(main_bytes=DEAD_BYTES_MIN - 1, entries=20, tombstones=10)) is None


def test_a_range_that_rests_is_compacted_unless_its_deltas_are_small() -> None:
    sizes = FileLayerSizes(deltas=2, delta_bytes=MIB, main_bytes=4 * MIB, rests=True)
    assert chosen(sizes).kind == CompactionKind.DELTAS
    assert "rests" in chosen(sizes).reason
    assert chosen(FileLayerSizes(deltas=2, delta_bytes=MIB, rests=True)).kind == CompactionKind.DELTAS
    assert chosen(FileLayerSizes(deltas=1, delta_bytes=MIB, main_bytes=MIB, rests=True)).kind == CompactionKind.DELTAS
    assert choose_compaction(FileLayerSizes(deltas=2, delta_bytes=MIB, main_bytes=4 * MIB)) is None, "it is not at rest"
    assert choose_compaction(FileLayerSizes(deltas=2, delta_bytes=MIB, main_bytes=GIB, rests=True)) is None, (
        "small compared with the main"
    )
    assert choose_compaction(FileLayerSizes(deltas=1, delta_bytes=MIB, bottoms_bytes=(GIB,), rests=True)) is None, (
        "nothing to merge"
    )
    assert choose_compaction(FileLayerSizes(main_bytes=GIB, rests=True)) is None


def test_much_hidden_data_is_worth_everything() -> None:
    sizes = FileLayerSizes(main_bytes=GIB, bottoms_bytes=(GIB, GIB, GIB))
    assert sizes.space_amplification == 4.0
    assert chosen(sizes).kind == CompactionKind.EVERYTHING
    assert "4.0 times" in chosen(sizes).reason


def test_much_that_lies_outside_bounds_is_trimmed() -> None:
    sizes = FileLayerSizes(1, GIB, GIB, (3 * GIB,), outside_bytes=5 * GIB + 1)
    assert chosen(sizes) == Compaction(
        CompactionKind.EVERYTHING,
        f"{5 * GIB + 1} of {10 * GIB + 1} bytes lie outside the bounds of virtual parts",
    )
    assert chosen(FileLayerSizes(outside_bytes=OUTSIDE_BYTES_MIN + 1)).kind == CompactionKind.EVERYTHING


def test_bottom_mains_grow_like_a_binary_counter() -> None:
    """Bottom mains of one size, merged by the policy: few layers, and each byte is rewritten only a few times."""
    bottoms: list[int] = []
    rewritten = 0
    for _ in range(256):
        bottoms.append(1)
        while compaction := choose_compaction(FileLayerSizes(bottoms_bytes=tuple(bottoms))):
            assert compaction.kind == CompactionKind.BOTTOMS
            merged = bottoms[compaction.bottom] + bottoms[compaction.bottom + 1]
            rewritten += merged
            bottoms[compaction.bottom : compaction.bottom + 2] = [merged]
        assert all(older > BOTTOMS_RATIO * newer for older, newer in pairwise(bottoms))
    assert sum(bottoms) == 256
    assert rewritten <= 256 * 12


LARGE = FileLayerSizes(main_bytes=GIB, entries=100 * PASSED_MIN, tombstones=PASSED_MIN, deltas=1, delta_bytes=MIB)


@pytest.mark.parametrize(
    "sizes",
    [
        LARGE,
        LARGE._replace(entries_passed=PASSES_MIN * PASSED_MIN - 1),
        LARGE._replace(tombstones=PASSED_TOMBSTONES_MIN, entries_passed=PASSED_MIN - 1),
        LARGE._replace(tombstones=PASSED_TOMBSTONES_MIN - 1, entries_passed=1_000 * PASSED_MIN),
    ],
)
def test_skipping_deleted_keys_now_and_then_is_nothing(sizes: FileLayerSizes) -> None:
    assert choose_compaction(sizes) is None


def test_a_range_whose_deleted_keys_are_skipped_again_and_again_is_compacted() -> None:
    compaction = chosen(LARGE._replace(entries_passed=PASSES_MIN * PASSED_MIN))
    assert compaction.kind == CompactionKind.EVERYTHING
    assert compaction.reason == "scans looked at 4000000 entries to skip deleted keys; files have 1000000 of these"
    assert may_become_due(LARGE._replace(deltas=0))
    assert not may_become_due(LARGE._replace(deltas=0, tombstones=0))
