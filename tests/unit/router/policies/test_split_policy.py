"""The split policy: from loads to splits and unsplittable ranges."""

from __future__ import annotations

from typing import Any

import pytest

from shardstore.limits import GIB, KEY_BYTES_MAX, MIB
from shardstore.router.policies.history import UNSPLITTABLE_NS, History
from shardstore.router.policies.loads import SETTLED_NS, StoreLoad, WorkerLoad
from shardstore.router.policies.plan import Plan, PlanKind, Unsplittable
from shardstore.router.policies.sizes import FIRST_SPLIT_BYTES, has_cooled_down, split_bytes
from shardstore.router.policies.split_policy import KEYS_MIN, splits
from shardstore.topology_options import TopologyOptions
from tests.unit.router.policies.policy_values import COOLED_DOWN, NOW_NS, OPTIONS, UNIT, hot, sample, store

HALVES = sample(0, 99)


def chosen(loads: StoreLoad, history: History = COOLED_DOWN) -> tuple[list[Plan], list[Unsplittable]]:
    plans, unsplittable = splits(loads, history, OPTIONS, NOW_NS)
    assert all(plan.kind is PlanKind.SPLIT and plan.reason and "\n" not in plan.reason for plan in plans)
    return plans, unsplittable


def the_one(loads: StoreLoad) -> Plan:
    plans, unsplittable = chosen(loads)
    assert (len(plans), unsplittable) == (1, [])
    return plans[0]


def test_a_large_range_is_split_at_its_middle() -> None:
    plan = the_one(store({"size_bytes": 101 * UNIT, "cuts": [b"k0042"]}, {}))
    assert (plan.segments, plan.keys, plan.workers) == ((1,), (b"k0042",), (0, 1))
    assert f"{101 * UNIT} bytes, limit {100 * UNIT}" in plan.reason
    assert chosen(store({"size_bytes": 100 * UNIT, "cuts": [b"k0042"]}, {})) == ([], [])


def test_without_a_middle_the_sampled_keys_tell_it() -> None:
    assert the_one(store({"size_bytes": 101 * UNIT, "keys": HALVES}, {})).keys[0] in (b"k0049", b"k0051")
    assert the_one(store({"size_bytes": 101 * UNIT, "keys": HALVES, "cuts": [b"k0100"]}, {})).keys[0] < b"k0100"
    assert chosen(store({"size_bytes": 101 * UNIT}, {})) == ([], []), "its load is not known yet"


@pytest.mark.parametrize("middle", [b"k0099", b"k0200", b"k0201"])
def test_a_key_that_is_not_inside_the_range_is_not_taken(middle: bytes) -> None:
    plans, _ = chosen(store({}, {"size_bytes": 101 * UNIT, "cuts": [middle]}, {}))
    assert plans == []


def test_what_is_kept_together_is_split_at_its_edges_only() -> None:
    large = {"size_bytes": 300 * UNIT, "together": (b"k0042",)}
    assert the_one(store(large | {"cuts": [b"k0042", b"k0042", b"k0050"]}, {})).keys == (b"k0042", b"k0050")
    filling = large | {"last": b"k0042x", "puts_per_s": 100, "appends_per_s": 90}
    assert chosen(store(filling | {"cuts": [b"k0042x"]})) == ([], []), "not behind its last key either"
    alone = large | {"together": (b"k01",), "cuts": [b"k01", b"k01"]}
    assert chosen(store({}, alone, {})) == ([], []), "nothing but it is in the range"
    plans, [found] = chosen(store(hot(0.9, *[b"k0042"] * 32, together=(b"k0042",)), {"worker": 1}))
    assert (plans, found.key) == ([], b"k0042")
    assert "of which what is kept together at b'k0042' has 100%" in found.reason


def test_the_largest_is_the_most_urgent() -> None:
    loads = store({"size_bytes": 101 * UNIT, "cuts": [b"k0042"]}, {"size_bytes": 300 * UNIT, "cuts": [b"k0142"]})
    assert [plan.segments for plan in chosen(loads)[0]] == [(2,), (1,)]


def test_a_range_filled_at_its_end_is_split_behind_its_last_key_for_another_worker() -> None:
    filling = {"size_bytes": 76 * UNIT, "cuts": [b"k0042"], "last": b"k0098", "puts_per_s": 100, "appends_per_s": 90}
    loads = store(filling, {"worker": 1, "busy": 0.1}, {"worker": 2}, {}, workers=3)
    plan = the_one(loads)
    assert (plan.keys[0], plan.workers[-1]) == (b"k0098\0", 2)
    assert "90% of the puts are at the right end" in plan.reason
    assert the_one(store(filling, {}, workers=1)).workers[-1] == 0
    assert chosen(store(filling | {"size_bytes": 75 * UNIT}, {})) == ([], [])
    assert chosen(store(filling | {"appends_per_s": 79}, {})) == ([], [])


def appenders(owners: list[int], *full: int) -> StoreLoad:
    """Ranges that all grow at their right ends at the same rate, and are full."""
    figures = [
        {
            "worker": owner,
            "size_bytes": (80 if at in full else 20) * UNIT,
            "busy": 0.2,
            "last": b"k%04d" % (at * 100 + 98),
            "puts_per_s": 100,
            "appends_per_s": 100,
        }
        for at, owner in enumerate(owners)
    ]
    return store(*figures)


@pytest.mark.parametrize("owners", [[0, 0, 0], [1, 1, 1], [0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0, 1]])
def test_hot_edges_do_not_gather_at_one_worker(owners: list[int]) -> None:
    for turn in range(4 * len(owners)):
        at = turn * 2 % len(owners)
        owners[at] = the_one(appenders(owners, at)).workers[-1]
    assert abs(owners.count(0) - owners.count(1)) <= 1 + (len(owners) % 2 == 0)


def test_a_lone_hot_edge_wanders_though_another_trickles() -> None:
    loads = appenders([0, 1], 0)
    loads.ranges[1] = loads.ranges[1]._replace(puts_per_s=10, appends_per_s=10)  # type: ignore[index]
    assert the_one(loads).workers[-1] == 1


def test_one_hot_edge_is_given_away_at_a_time() -> None:
    plans, _ = chosen(appenders([0, 0, 0], 0, 1, 2))
    assert len(plans) == 1
    plans, _ = chosen(appenders([0, 1], 0, 1))
    assert [plan.workers for plan in plans] == [(0, 0), (1, 1)], "the changes that remain continue"


def test_a_range_far_above_the_limit_is_split_into_as_many_as_there_should_be_at_once() -> None:
    cuts = [b"k%04d" % (at * 100 // 16) for at in range(1, 16)]
    others = [{"size_bytes": 50 * UNIT, "worker": at % 2} for at in range(4)]
    plan = the_one(store({"size_bytes": 300 * UNIT, "cuts": cuts}, *others))
    assert plan.keys == (b"k0018", b"k0037", b"k0056", b"k0075"), "five parts of 60 units, or nearly so"
    plan = the_one(store({"size_bytes": 5_000 * UNIT, "cuts": cuts}, {"worker": 1}))
    assert list(plan.keys) == cuts, "as many as the samples allow"


def test_the_first_split_of_a_store_leaves_as_many_ranges_as_it_needs_when_it_is_large() -> None:
    cuts = [b"k%04d" % (at * 100 // 16) for at in range(1, 16)]
    first = {"size_bytes": 101 * UNIT, "cuts": cuts}
    assert len(the_one(store(first, workers=2)).keys) == 6
    assert len(the_one(store(first, workers=4)).keys) == 15, "even parts are preferred to few parts"


def test_the_parts_go_to_whom_they_even_out_the_bytes() -> None:
    cuts = [b"k0020", b"k0040", b"k0060", b"k0080"]
    large = {"size_bytes": 300 * UNIT, "cuts": cuts}
    assert the_one(store(large, {}, workers=1)).workers == (0,) * 5
    assert the_one(store(large, {"worker": 1})).workers == (0, 1, 0, 1, 0)
    assert sorted(the_one(store(large, {}, workers=4)).workers) == [0, 0, 1, 2, 3]
    even = {"size_bytes": 90 * UNIT, "worker": 1}
    assert the_one(store(large, even, even, even)).workers == (0,) * 5, "each has as much already"
    one_down = [WorkerLoad(0), WorkerLoad(1, up=False), WorkerLoad(2, leaving=True)]
    assert the_one(store(large, {}, workers=one_down)).workers == (0,) * 5


def test_far_above_the_limit_and_filled_at_its_end_it_is_split_for_both() -> None:
    filling = {"size_bytes": 110 * UNIT, "cuts": [b"k0042"], "last": b"k0098", "puts_per_s": 10, "appends_per_s": 9}
    plan = the_one(store(filling, {"worker": 1, "size_bytes": 90 * UNIT}))
    assert (plan.keys, plan.workers) == ((b"k0042", b"k0098\0"), (0, 0, 1))


def test_what_a_range_may_hold_grows_with_the_store_up_to_the_limit() -> None:
    options = TopologyOptions(split_bytes=100 * MIB)

    def limit(*sizes: int, workers: int = 2, **more: Any) -> int:
        return split_bytes(store(*({"size_bytes": size, **more} for size in sizes), workers=workers), options)

    assert limit(0) == limit(4 * MIB - 1) == FIRST_SPLIT_BYTES == MIB
    assert limit(8 * MIB) == limit(5 * MIB, 3 * MIB) == 2 * MIB
    assert limit(8 * MIB, workers=4) == MIB
    assert limit(4_000 * MIB) == 100 * MIB
    assert limit(8 * MIB, known=False) == 100 * MIB, "it may be a small part of the store"


def test_the_last_key_may_be_as_long_as_a_key_can_be_or_the_last_of_the_range() -> None:
    longest = b"k0098" + b"x" * (KEY_BYTES_MAX - 5)
    filling = {"size_bytes": 101 * UNIT, "cuts": [b"k0042"], "puts_per_s": 100, "appends_per_s": 100}
    assert the_one(store(filling | {"last": longest}, {})).keys == (b"k0042", longest)
    beyond = the_one(store(filling | {"last": b"k0100"}, {}))
    assert beyond.keys == (b"k0042",), "no range can start after it, so the middle"


def test_a_hot_range_is_split_where_its_load_is_halved() -> None:
    plan = the_one(store(hot(0.8, *HALVES), {"worker": 1}))
    assert plan.keys[0] in (b"k0049", b"k0051")
    assert plan.workers[-1] == 1, "that worker is idle"
    assert "80% of a worker's time" in plan.reason


def test_the_halves_of_a_hot_range_stay_where_that_is_as_good() -> None:
    assert the_one(store(hot(0.8, *HALVES), {"worker": 1, "busy": 0.6})).workers[-1] == 0
    fresh = {"worker": 1, "measured_ns": SETTLED_NS - 1}
    assert the_one(store(hot(0.8, *HALVES), fresh)).workers[-1] == 0, "the load of worker 1 is not known"


@pytest.mark.parametrize(
    ("figures", "workers"),
    [
        (hot(0.19, *HALVES), 2),
        (hot(0.8, *HALVES, operations_per_s=999), 2),
        (hot(0.8, *HALVES[: KEYS_MIN - 1]), 2),
        (hot(0.8, *HALVES, measured_ns=SETTLED_NS - 1), 2),
        (hot(0.8, *HALVES, changing=True), 2),
        (hot(0.8, *HALVES), 1),
        (hot(0.8, *HALVES), [WorkerLoad(0), WorkerLoad(1, up=False)]),
        (hot(0.8, *HALVES), [WorkerLoad(0, leaving=True), WorkerLoad(1), WorkerLoad(2)]),
        (hot(0.8, *sorted(HALVES)), 2),
        (hot(0.8, *sample(900, 999)), 2),
        (hot(0.8, *HALVES, appends_per_s=30_000, puts_per_s=30_000, last=b"k0090"), 2),
    ],
    ids=[
        *("little load", "few operations", "few keys", "just opened", "changing", "one worker", "one worker up"),
        *("its worker leaves", "load drifts", "keys of another range", "appends to a small range"),
    ],
)
def test_a_range_is_not_split_for_its_load(figures: dict[str, Any], workers: Any) -> None:
    assert chosen(store(figures, {}, workers=workers)) == ([], [])


def test_a_range_that_can_be_spread_by_moving_is_not_split() -> None:
    others = [{"worker": at % 2, "busy": 0.3} for at in range(4)]
    assert chosen(store(hot(0.35, *HALVES), *others)) == ([], []), "the mean is 0.78"


def test_one_key_with_the_load_makes_the_range_unsplittable_once() -> None:
    keys = (*HALVES[:12], *([b"k0033"] * 20))
    loads = store(hot(0.8, *keys), {})
    history = History(0)
    # If the hot key lies among others, one side may still have a quarter of the load. Here no side has.
    plans, unsplittable = chosen(loads, history)
    assert (plans, [(each.segment, each.key) for each in unsplittable]) == ([], [(1, b"k0033")])
    assert "one key has 62%" in unsplittable[0].reason
    history.note_unsplittable(unsplittable[0], NOW_NS)
    assert chosen(loads, history) == ([], [])
    _, again = splits(loads, history, OPTIONS, NOW_NS + UNSPLITTABLE_NS)
    assert again == unsplittable


def test_a_range_just_changed_is_left_alone_for_its_load() -> None:
    history = History(0)
    history.note_change(PlanKind.SPLIT, [9], [1, 2], NOW_NS - OPTIONS.cooldown_ns + 1)
    loads = store({}, hot(0.8, *sample(100, 199)))
    assert chosen(loads, history) == ([], [])
    plans, _ = splits(loads, history, OPTIONS, NOW_NS + 1)
    assert [plan.segments for plan in plans] == [(2,)]


def test_for_its_bytes_a_small_range_is_soon_changed_again_and_a_large_one_after_the_cooldown() -> None:
    options = TopologyOptions(split_bytes=4 * GIB)
    for size_bytes, cooldown_ns in ((5 * GIB, options.cooldown_ns), (GIB // 4, options.cooldown_ns // 4), (0, 0)):
        (load,) = store({"size_bytes": size_bytes}).ranges
        history = History(0)
        history.note_change(PlanKind.SPLIT, [9], [1, 2], NOW_NS)
        assert has_cooled_down(load, history, options, NOW_NS + cooldown_ns)
        assert not has_cooled_down(load, history, options, NOW_NS + cooldown_ns - 1)


def test_after_a_start_everything_has_just_changed() -> None:
    loads = store({"size_bytes": 101 * UNIT, "cuts": [b"k0042"]}, hot(0.8, *sample(100, 199)))
    assert chosen(loads, History(NOW_NS - 1)) == ([], [])


def test_a_range_that_moves_is_still_unsplittable() -> None:
    history = History(0)
    history.note_unsplittable(Unsplittable(1, b"k", "one key"), NOW_NS)
    history.note_change(PlanKind.MOVE, [1], [5], NOW_NS)
    history.note_change(PlanKind.SPLIT, [5], [6, 7], NOW_NS)
    assert [history.is_unsplittable(segment, NOW_NS) for segment in (1, 5, 6, 7)] == [False] * 4
    history.note_unsplittable(Unsplittable(6, b"k", "one key"), NOW_NS)
    history.note_change(PlanKind.MOVE, [6], [8], NOW_NS)
    assert history.is_unsplittable(8, NOW_NS)
    assert not history.is_unsplittable(8, NOW_NS + UNSPLITTABLE_NS)
