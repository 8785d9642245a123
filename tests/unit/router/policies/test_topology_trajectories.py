"""The policies together over many rounds on a model: they reach their goal, and then leave the store alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from shardstore.limits import MIB
from shardstore.router.policies.loads import WorkerLoad
from shardstore.router.policies.merge_policy import RANGES_KEPT
from shardstore.router.policies.plan import Plan, PlanKind
from shardstore.topology_options import TopologyOptions
from tests.unit.router.policies.load_model import KEYS, ModelRange, ModelStore, Spread, even_store

HOUR = 3_600
SETTLED = 1_200
"""Rounds without changes that show that a store has settled: four times the delay of a merge."""
OPTIONS = TopologyOptions(split_bytes=256 * MIB)
SEEDS = [1, pytest.param(2, marks=pytest.mark.slow)]

GROWN_ROUNDS = 800
"""Rounds of inserts after which ranges may have their full size, since the store then holds that of six."""
EDGE_ROUNDS = 3_300
"""Rounds during which the edge of sequential inserts stays in the first of three ranges."""


def kinds(plans: list[Plan]) -> Counter[PlanKind]:
    return Counter(plan.kind for plan in plans)


def busiest(store: ModelStore) -> float:
    return max(store.busy_of(worker.worker) for worker in store.workers)


@pytest.fixture(params=SEEDS, ids=lambda seed: f"seed {seed}")
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def seeded(store: ModelStore, seed: int) -> ModelStore:
    store.rng.seed(seed)
    return store


@pytest.mark.parametrize("busy", [0.0, 0.1, 1.0, 3.6])
@pytest.mark.parametrize("content", [0, 1_500 * MIB])
def test_a_store_in_good_order_is_left_alone(busy: float, content: float, seed: int) -> None:
    store = seeded(even_store(4, 4, OPTIONS), seed)
    store.busy, store.content = [Spread(0, KEYS, busy)], [Spread(0, KEYS, content)]
    assert store.run(SETTLED) == []
    assert store.unsplittable == []


def test_load_on_a_few_keys_is_spread_over_the_workers(seed: int) -> None:
    store = seeded(even_store(4, 4, OPTIONS), seed)
    store.busy = [Spread(0, KEYS, 0.4), Spread(100_000, 110_000, 2.0)]
    assert busiest(store) > 2.0
    plans = store.run(HOUR)
    assert busiest(store) < 0.6 * 1.4, "the mean is 0.6"
    assert len(plans) <= 40
    assert store.run(SETTLED) == [], "it settles"


def test_two_workers_share_the_load_of_one_range(seed: int) -> None:
    store = seeded(even_store(2, 1, OPTIONS), seed)
    store.busy = [Spread(0, KEYS // 2, 0.9)]
    store.run(HOUR)
    assert busiest(store) < 0.9 * 0.7
    assert store.run(SETTLED) == []


def test_one_worker_is_not_split_for_load() -> None:
    store = even_store(1, 4, OPTIONS)
    store.busy = [Spread(0, 1_000, 0.9)]
    assert store.run(SETTLED) == []


def test_a_hot_key_is_found_once_and_left_alone(seed: int) -> None:
    store = seeded(even_store(2, 4, OPTIONS), seed)
    store.busy = [Spread(0, KEYS, 0.3), Spread(200_000, 200_001, 0.9)]
    plans = store.run(500)
    assert len(plans) <= 6
    assert len(store.unsplittable) == 1
    assert store.unsplittable[0][1].key == (200_000).to_bytes(8, "big")
    assert store.run(SETTLED) == []
    assert 2 <= len(store.unsplittable) <= 8, "reported again when the each has expired, and not before"


def test_growing_content_is_split_by_bytes_and_spread(seed: int) -> None:
    store = seeded(even_store(2, 1, OPTIONS), seed)

    def grow(store: ModelStore) -> None:
        store.content = [Spread(0, KEYS // 2, store.round * MIB)]

    plans = store.run(2_000, grow)
    sizes = [load.size_bytes for load in store.loads().ranges]
    assert max(sizes) <= 256 * MIB + 100 * MIB, "the limit, and the inserts of a cooldown"
    assert store.content_of(0) < 0.75 * 2_000 * MIB
    assert kinds(plans)[PlanKind.MERGE] == 0
    assert kinds(plans)[PlanKind.SPLIT] <= 2_000 / 128
    assert len(store.run(HOUR)) <= 3
    assert store.run(SETTLED) == []


def in_order(store: ModelStore, share: float) -> None:
    store.edge = KEYS * share
    store.appended_per_s = 60_000
    store.busy = [Spread(store.edge - 100, store.edge, 0.6)]
    store.content = [Spread(0, store.edge, 120 * MIB * share)]


def at_random(store: ModelStore, share: float) -> None:
    store.busy, store.content = [Spread(0, KEYS, 0.6)], [Spread(0, KEYS, 120 * MIB * share)]


def under_one_prefix(store: ModelStore, share: float) -> None:
    low, high = 0.61 * KEYS, 0.62 * KEYS
    store.busy, store.content = [Spread(low, high, 0.6)], [Spread(low, high, 120 * MIB * share)]


def through_what_is_there(store: ModelStore, share: float) -> None:
    """Inserts move from left to right among existing keys, as those of unpadded numbers do."""
    edge = KEYS * share
    store.busy = [Spread(max(0, edge - 1_000), edge, 0.6)]
    store.content = [Spread(0, KEYS, 12 * MIB * min(1, 10 * share)), Spread(0, edge, 108 * MIB * share)]


@pytest.mark.parametrize("rounds", [5, 300])
@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("grow", [in_order, at_random, under_one_prefix, through_what_is_there])
def test_a_new_store_is_even_soon_after_its_first_load(
    grow: Callable[[ModelStore, float], None], workers: int, rounds: int
) -> None:
    """After seconds or minutes of load, then rest, every worker has between 0.5 and 1.5 of its fair share."""
    store = even_store(workers, 1, OPTIONS)
    store.ranges = [ModelRange(0, KEYS, 0, 1, 0)]
    store.next_segment = 2
    plans = store.run(rounds, lambda store: grow(store, store.round / rounds))
    store.busy, store.appended_per_s = [], 0.0
    plans += store.run(15)
    shares = [store.content_of(worker) * workers / (120 * MIB) for worker in range(workers)]
    assert 0.5 <= min(shares) <= max(shares) <= 1.5
    assert len(store.ranges) <= 20 * workers
    store.run(SETTLED)
    assert store.run(SETTLED) == [], "it settles"


def test_the_hot_edge_of_sequential_inserts_wanders(seed: int) -> None:
    store = seeded(even_store(3, 1, OPTIONS), seed)

    def insert(store: ModelStore) -> None:
        store.edge = 100.0 * store.round
        store.appended_per_s = 60_000
        store.busy = [Spread(store.edge - 100, store.edge, 0.6)]
        store.content = [Spread(0, store.edge, 2 * MIB * store.round)]

    early = store.run(GROWN_ROUNDS, insert)
    plans = store.run(EDGE_ROUNDS - GROWN_ROUNDS, insert)
    for some in (early, plans):
        splits = [plan for plan in some if plan.kind is PlanKind.SPLIT]
        assert {plan.workers[-1] for plan in splits} == {0, 1, 2}
        assert all(a.workers[-1] != b.workers[-1] for a, b in pairwise(splits))
    assert kinds(early)[PlanKind.SPLIT] <= 60, "eight for each time that the content doubles"
    assert kinds(plans)[PlanKind.SPLIT] <= 2 * 2 * (EDGE_ROUNDS - GROWN_ROUNDS) / 256, "each at least half full"
    made = [one for one in store.ranges if one.made > GROWN_ROUNDS and one.low > 100 * GROWN_ROUNDS]
    full = [store.content_within(one.low, one.high) / (256 * MIB) for one in made]
    assert min(full[:-2]) >= 0.5
    contents = [store.content_of(worker) for worker in range(3)]
    assert max(contents) < 2 * min(contents)


def test_reads_that_follow_the_edge_do_not_cut_it_to_pieces(seed: int) -> None:
    store = seeded(even_store(3, 1, OPTIONS), seed)

    def follow(store: ModelStore) -> None:
        store.edge = 100.0 * store.round
        store.appended_per_s = 1_000
        store.busy = [Spread(store.edge - 100, store.edge, 0.6)]
        store.content = [Spread(0, store.edge, MIB * store.round / 4)]

    plans = store.run(EDGE_ROUNDS, follow)
    assert not any(plan.for_load for plan in plans)
    assert kinds(plans)[PlanKind.SPLIT] <= 80, "eight for each time that the content doubles"
    assert len(store.ranges) <= 3 * (RANGES_KEPT + 4)
    assert store.unsplittable == []


def test_what_was_split_for_its_load_is_merged_when_that_is_long_gone(seed: int) -> None:
    store = seeded(even_store(2, 4, OPTIONS), seed)
    store.busy = [Spread(0, 50_000, 1.5)]
    store.content = [Spread(0, KEYS, MIB)]
    store.run(HOUR)
    assert len(store.ranges) > 8
    store.busy = []
    plans = store.run(HOUR)
    assert len(store.ranges) == 2 * RANGES_KEPT
    assert kinds(plans)[PlanKind.SPLIT] == 0
    assert store.run(SETTLED) == []


@pytest.mark.slow
def test_load_that_comes_and_goes_causes_no_thrash(seed: int) -> None:
    """One minute of load in every three: the ranges it needs are made once, and kept."""
    store = seeded(even_store(2, 4, OPTIONS), seed)
    store.content = [Spread(0, KEYS, 10 * MIB)]

    def pulse(store: ModelStore) -> None:
        store.busy = [Spread(0, 50_000, 1.5)] if store.round % 180 < 60 else []

    store.run(HOUR, pulse)
    later = store.run(4 * HOUR, pulse)
    assert len(later) <= 4 * 8, f"{kinds(later)} in four hours"


@pytest.mark.slow
def test_a_wandering_hot_spot_keeps_the_number_of_ranges_bounded(seed: int) -> None:
    store = seeded(even_store(2, 4, OPTIONS), seed)
    store.content = [Spread(0, KEYS, 20 * MIB)]

    def wander(store: ModelStore) -> None:
        low = 20_000 * (store.round // 600 % 45)
        store.busy = [Spread(low, low + 20_000, 1.2)]

    store.run(4 * HOUR, wander)
    assert len(store.ranges) <= 30


def test_a_leaving_worker_is_emptied_and_gets_nothing_back(seed: int) -> None:
    store = seeded(even_store(3, 4, OPTIONS), seed)
    store.busy = [Spread(0, KEYS, 0.9)]
    store.content = [Spread(0, KEYS, 1_200 * MIB)]
    store.run(100)
    store.workers[1] = WorkerLoad(1, leaving=True)
    plans = store.run(30)
    assert [one for one in store.ranges if one.worker == 1] == []
    assert kinds(plans) == {PlanKind.MOVE: 4}
    assert busiest(store) < 0.45 * 1.4
    assert all(plan.workers[-1] != 1 for plan in store.run(HOUR))


def test_a_new_worker_is_given_its_share(seed: int) -> None:
    store = seeded(even_store(2, 4, OPTIONS), seed)
    store.busy = [Spread(0, KEYS, 1.2)]
    store.content = [Spread(0, KEYS, 1_600 * MIB)]
    store.workers.append(WorkerLoad(2))
    store.run(HOUR)
    assert busiest(store) < 0.4 * 1.4
    assert store.content_of(2) > 0
    assert store.run(SETTLED) == []


def test_no_more_is_moved_than_evens_out_even_without_a_cooldown(seed: int) -> None:
    """The load of a moved range shows late at its new worker; without waiting, the policy would give it too much."""
    store = seeded(even_store(2, 8, TopologyOptions(cooldown=0)), seed)
    store.busy = [Spread(0, KEYS // 2, 0.9), Spread(KEYS // 2, KEYS, 0.3)]
    plans = store.run(SETTLED)
    assert kinds(plans) == {PlanKind.MOVE: len(plans)}
    assert 2 <= len(plans) <= 3
    assert busiest(store) < 0.6 * 1.4


def test_changes_at_a_time_are_bounded(seed: int) -> None:
    store = seeded(even_store(4, 4, TopologyOptions(split_bytes=MIB, changes_max=2, cooldown=0)), seed)
    store.content = [Spread(0, KEYS, 200 * MIB)]

    def look(store: ModelStore) -> None:
        most.append(store.changes_under_way())

    most: list[int] = []
    store.run(HOUR // 4, look)
    assert max(most) == 2
    assert max(load.size_bytes for load in store.loads().ranges) <= MIB


def test_nothing_is_changed_unasked_where_that_is_switched_off() -> None:
    store = even_store(2, 1, TopologyOptions(auto_topology=False, split_bytes=MIB))
    store.busy, store.content = [Spread(0, 1_000, 1.5)], [Spread(0, KEYS, 100 * MIB)]
    assert store.run(SETTLED) == []
    store.workers[0] = WorkerLoad(0, leaving=True)
    assert kinds(store.run(10)) == {PlanKind.MOVE: 1}, "but requests of an operator are accepted"
