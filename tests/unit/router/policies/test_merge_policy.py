"""The merge policy: which neighbours are merged."""

from __future__ import annotations

from typing import Any

import pytest

from shardstore.router.policies.history import History
from shardstore.router.policies.loads import SETTLED_NS, StoreLoad, WorkerLoad
from shardstore.router.policies.merge_policy import COOLDOWNS, merges
from shardstore.router.policies.plan import Plan, PlanKind
from tests.unit.router.policies.policy_values import COOLED_DOWN, NOW_NS, OPTIONS, UNIT, store

LARGE = {"size_bytes": 90 * UNIT}
SMALL = {"size_bytes": 10 * UNIT}


def chosen(loads: StoreLoad, history: History = COOLED_DOWN) -> list[Plan]:
    plans = list(merges(loads, history, OPTIONS, NOW_NS))
    assert all(plan.kind is PlanKind.MERGE and "\n" not in plan.reason for plan in plans)
    return plans


def test_small_cold_neighbours_are_merged_where_the_larger_is() -> None:
    plans = chosen(store(LARGE, LARGE, {"size_bytes": UNIT}, {**SMALL, "worker": 1}, LARGE, LARGE, LARGE, LARGE, LARGE))
    assert [(plan.segments, plan.workers[-1]) for plan in plans] == [((3, 4), 1)]
    assert f"{UNIT} and {10 * UNIT} bytes" in plans[0].reason


def test_the_smallest_pairs_go_first_and_no_range_goes_twice() -> None:
    sizes = [5, 4, 3, 2, 1, 90, 90, 90, 90, 90, 90, 90]
    plans = chosen(store(*({"size_bytes": size * UNIT} for size in sizes), workers=1))
    assert [plan.segments for plan in plans] == [(4, 5), (2, 3)]


@pytest.mark.parametrize(
    "other",
    [
        {"size_bytes": 31 * UNIT},
        {"busy": 0.06},
        {"measured_ns": SETTLED_NS - 1},
        {"changing": True},
        {"worker": 1},
        {"worker": 2},
    ],
    ids=["together large", "warm", "just opened", "changing", "its worker is down", "its worker leaves"],
)
def test_they_are_not_merged(other: dict[str, Any]) -> None:
    workers = [WorkerLoad(0), WorkerLoad(1, up=False), WorkerLoad(2, leaving=True)]
    assert chosen(store(SMALL, SMALL | other, LARGE, LARGE, LARGE, workers=workers)) == []
    assert len(chosen(store(SMALL, SMALL, LARGE, LARGE, LARGE, workers=workers))) == 1


def test_what_was_changed_is_left_alone_for_long() -> None:
    loads = store(SMALL, SMALL, LARGE, LARGE, LARGE, workers=1)
    history = History(0)
    history.note_change(PlanKind.SPLIT, [9], [2, 3], NOW_NS - COOLDOWNS * OPTIONS.cooldown_ns + 1)
    assert chosen(loads, history) == []
    assert len(list(merges(loads, history, OPTIONS, NOW_NS + 1))) == 1


def test_ranges_of_a_new_store_are_kept() -> None:
    assert chosen(store(*[{}] * 8)) == []
    assert len(chosen(store(*[{}] * 10))) == 2
