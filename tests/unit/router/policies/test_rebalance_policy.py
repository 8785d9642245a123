"""The rebalance policy: which ranges move to which workers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from shardstore.router.policies.history import History
from shardstore.router.policies.loads import SETTLED_NS, StoreLoad, WorkerLoad
from shardstore.router.policies.plan import Plan, PlanKind
from shardstore.router.policies.rebalance_policy import evacuations, moves
from shardstore.router.policies.topology_policy import choose_changes
from shardstore.topology_options import TopologyOptions
from tests.unit.router.policies.policy_values import COOLED_DOWN, NOW_NS, OPTIONS, UNIT, hot, sample, store


def chosen(loads: StoreLoad, history: History = COOLED_DOWN) -> list[tuple[int, int]]:
    plans = moves(loads, history, OPTIONS, NOW_NS)
    assert all(plan.kind is PlanKind.MOVE and plan.reason and "\n" not in plan.reason for plan in plans)
    return [(plan.segments[0], plan.workers[-1]) for plan in plans]


def busy(*figures: tuple[int, float], **more: Any) -> StoreLoad:
    return store(*({"worker": worker, "busy": share, **more} for worker, share in figures), workers=3)


def test_the_range_that_evens_out_most_moves_to_the_least_busy() -> None:
    loads = busy((0, 0.5), (0, 0.2), (0, 0.1), (1, 0.3), (2, 0.2))
    assert chosen(loads) == [(2, 2)]
    reason = moves(loads, COOLED_DOWN, OPTIONS, NOW_NS)[0].reason
    assert reason == "worker 0 is 80% busy, worker 2 20%, this range 20%"


def test_a_worker_whose_load_is_one_range_does_not_keep_the_next_from_giving() -> None:
    assert chosen(busy((0, 0.9), (1, 0.4), (1, 0.4), (2, 0.1))) == [(2, 2)]


def test_many_ranges_with_a_little_each_move_one_by_one() -> None:
    small = [(0, 0.03)] * 20
    assert chosen(busy(*small, (1, 0.1), (2, 0.3))) == [(1, 1)]
    assert chosen(busy(*small, (1, 0.46), (2, 0.46))) == [], "even enough"


@pytest.mark.parametrize(
    "loads",
    [
        busy((0, 0.14), (0, 0.15)),
        busy((0, 0.9), (1, 0.0), (2, 0.0)),
        busy((0, 0.45), (0, 0.45), (1, 0.4), (2, 0.4)),
        busy((0, 0.33), (0, 0.05), (1, 0.3), (2, 0.35)),
        busy((0, 0.4), (0, 0.4), (1, 0.1), (2, 0.1), measured_ns=SETTLED_NS - 1),
        store({"busy": 0.4}, {"busy": 0.4}, {"worker": 1, "changing": True}),
        store({"busy": 0.4}, {"busy": 0.4}, workers=[WorkerLoad(0), WorkerLoad(1, up=False)]),
        store({"busy": 0.4}, {"busy": 0.4}, workers=1),
    ],
    ids=[
        "little load",
        "one range",
        "it would be as busy",
        "almost even",
        "just opened",
        "taker changes",
        "taker is down",
        "alone",
    ],
)
def test_nothing_moves_for_its_load(loads: StoreLoad) -> None:
    assert chosen(loads) == []


def test_what_was_moved_is_not_moved_at_once() -> None:
    history = History(0)
    loads = busy((0, 0.4), (0, 0.4), (1, 0.1), (2, 0.1))
    history.note_change(PlanKind.MOVE, [9], [1], NOW_NS)
    assert chosen(loads, history) == [(2, 1)]
    history.note_change(PlanKind.MOVE, [8], [2], NOW_NS)
    assert chosen(loads, history) == []


def test_cold_bytes_move_to_who_stores_least() -> None:
    sizes = [{"size_bytes": 90 * UNIT}, {"size_bytes": 60 * UNIT}, {"size_bytes": 20 * UNIT, "worker": 1}]
    assert chosen(store(*sizes)) == [(2, 1)]
    assert chosen(store(*({**of, "busy": 0.09} for of in sizes))) == [(2, 1)], "which is idle enough to take any"
    assert chosen(store(*({**of, "busy": 0.11} for of in sizes))) == [], (
        "it would be so busy that only cold ranges move"
    )
    assert chosen(store(*sizes[:2], {**sizes[2], "busy": 0.9})) == [(2, 1)]
    assert chosen(store({"size_bytes": 90 * UNIT}, {"size_bytes": 10 * UNIT}, {"worker": 1})) == [], (
        "the difference is at most one range"
    )
    assert chosen(store({"size_bytes": 190 * UNIT}, {"worker": 1})) == [], "the workers would only swap loads"


def test_bytes_are_evened_out_in_one_round_whatever_was_moved_a_moment_ago() -> None:
    loads = store(*({"size_bytes": 40 * UNIT, "measured_ns": 0} for _ in range(12)), workers=4)
    plans = moves(loads, History(NOW_NS), TopologyOptions(split_bytes=100 * UNIT, cooldown=0), NOW_NS)
    assert Counter(plan.workers[0] for plan in plans) == {1: 3, 2: 3, 3: 2}, "then they differ by less than a range"
    assert len({plan.segments for plan in plans}) == 8


def test_a_worker_that_leaves_gives_all_to_the_others() -> None:
    workers = [WorkerLoad(0), WorkerLoad(1, leaving=True), WorkerLoad(2), WorkerLoad(3, up=False)]
    figures = [(1, 0.4), (1, 0.3), (1, 0.2), (0, 0.3), (2, 0.1)]
    loads = store(
        *({"worker": worker, "busy": share} for worker, share in figures),
        {"worker": 1, "changing": True},
        workers=workers,
    )
    plans = list(evacuations(loads))
    assert [(plan.segments[0], plan.workers[-1]) for plan in plans] == [(1, 2), (2, 0), (3, 2)]
    assert {plan.reason for plan in plans} == {"worker 1 leaves"}


@pytest.mark.parametrize(
    "workers",
    [[WorkerLoad(0, up=False, leaving=True), WorkerLoad(1)], [WorkerLoad(0, leaving=True), WorkerLoad(1, up=False)]],
    ids=["it is down", "nobody can take"],
)
def test_a_worker_that_leaves_waits(workers: list[WorkerLoad]) -> None:
    assert list(evacuations(store({"busy": 0.5}, {}, workers=workers))) == []


def plans_of(loads: StoreLoad, **settings: Any) -> list[Plan]:
    options = TopologyOptions(**{"split_bytes": 100 * UNIT, **settings})
    return choose_changes(loads, COOLED_DOWN, options, NOW_NS)[0]


def test_who_leaves_goes_first_and_changes_at_a_time_are_bounded() -> None:
    workers = [WorkerLoad(0), WorkerLoad(1, leaving=True), WorkerLoad(2)]
    large = {"size_bytes": 200 * UNIT, "cuts": [b"k0050"]}
    figures = [large, {"worker": 1}, {"worker": 1}]
    kinds = [plan.kind for plan in plans_of(store(*figures, workers=workers), changes_max=3)]
    assert kinds == [PlanKind.MOVE, PlanKind.MOVE, PlanKind.SPLIT]
    assert len(plans_of(store(*figures, workers=workers), changes_max=2)) == 2
    assert len(plans_of(store(*figures, workers=workers, changes=2), changes_max=3)) == 1
    assert plans_of(store(*figures, workers=workers, changes=3), changes_max=3) == []


def test_no_worker_gives_or_takes_load_twice_and_no_segment_is_in_two_plans() -> None:
    first, second = hot(0.9, *sample(0, 99)), hot(0.8, *sample(100, 199))
    loads = store(first, second, {"worker": 1}, {"worker": 1})
    plans = plans_of(loads, changes_max=10)
    across = [plan for plan in plans if plan.workers[-1] != 0]
    assert len(across) == 1
    assert len({segment for plan in plans for segment in plan.segments}) == len(plans)
