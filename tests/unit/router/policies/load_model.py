"""A model of a store whose load and content are known exactly. It measures as workers do, and makes requested changes.

Keys are numbers below KEYS in eight bytes. A round is a second. A change takes CHANGE_ROUNDS rounds, and measurements
of its children start anew.
"""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter

from shardstore.limits import LOAD_KEYS_MAX, SECOND_NS
from shardstore.router.policies.history import History
from shardstore.router.policies.loads import RangeLoad, StoreLoad, WorkerLoad
from shardstore.router.policies.merge_policy import warm_ranges
from shardstore.router.policies.plan import Plan, PlanKind, Unsplittable
from shardstore.router.policies.sizes import FIRST_SPLIT_BYTES, RANGES_PER_WORKER
from shardstore.router.policies.topology_policy import choose_changes
from shardstore.topology_options import TopologyOptions

KEYS = 1_000_000
CHANGE_ROUNDS = 3
OPERATIONS_WHEN_BUSY = 100_000
"""Operations per second of a fully busy worker."""


def key_of(number: float) -> bytes:
    """The key with this number."""
    return int(number).to_bytes(8, "big")


@dataclass(frozen=True)
class Spread:
    """An amount of load or bytes, spread evenly over the keys in [low, high)."""

    low: float
    high: float
    amount: float

    def within(self, low: float, high: float) -> float:
        """The part of the amount in an interval."""
        return self.amount * max(0.0, min(high, self.high) - max(low, self.low)) / (self.high - self.low)


@dataclass
class ModelRange:
    """One range of the model."""

    low: float
    high: float
    worker: int
    segment: int
    made: int
    ready: int = 0
    change: int = 0


@dataclass
class ModelStore:
    """The model. `busy` and `content` may be replaced between rounds; keys are appended at `edge`, above all others."""

    workers: list[WorkerLoad]
    ranges: list[ModelRange]
    busy: list[Spread]
    content: list[Spread]
    options: TopologyOptions
    noise: float = 0.1
    edge: float = 0.0
    appended_per_s: float = 0.0
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    round: int = 0
    plans: list[tuple[int, Plan]] = field(default_factory=list)
    unsplittable: list[tuple[int, Unsplittable]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history = History(0)
        self.next_segment = 1 + max(one.segment for one in self.ranges)

    def run(self, rounds: int, before_each: Callable[[ModelStore], None] = lambda store: None) -> list[Plan]:
        """Let this many seconds pass; returns the decisions made in them."""
        plans_before = len(self.plans)
        for _ in range(rounds):
            self.round += 1
            before_each(self)
            self._decide()
            self._check_cover()
        return [plan for _, plan in self.plans[plans_before:]]

    def busy_of(self, worker: int) -> float:
        """The true load of a worker."""
        return sum(self._amount(self.busy, one) for one in self.ranges if one.worker == worker)

    def content_of(self, worker: int) -> float:
        """The true bytes of a worker."""
        return sum(self._amount(self.content, one) for one in self.ranges if one.worker == worker)

    def content_within(self, low: float, high: float) -> float:
        """The true bytes between two keys."""
        return sum(of.within(low, high) for of in self.content)

    def loads(self) -> StoreLoad:
        """The loads as policies see them now."""
        return StoreLoad(self._measured(), self.workers, self.changes_under_way())

    def changes_under_way(self) -> int:
        """The number of changes under way."""
        return len({one.change for one in self.ranges if self.round < one.ready})

    def _decide(self) -> None:
        now_ns = self.round * SECOND_NS
        loads = self.loads()
        self.history.note_warm(warm_ranges(loads), now_ns)
        plans, unsplittable = choose_changes(loads, self.history, self.options, now_ns)
        for each in unsplittable:
            self.unsplittable.append((self.round, each))
            self.history.note_unsplittable(each, now_ns)
        for plan in plans:
            self.plans.append((self.round, plan))
            self._change(plan, now_ns)

    def _change(self, plan: Plan, now_ns: int) -> None:
        parents = [one for one in self.ranges if one.segment in plan.segments]
        assert [one.segment for one in parents] == list(plan.segments), "parents are there, in key order"
        assert all(self.round >= one.ready for one in parents), "a change of what is changing"
        assert "\n" not in plan.reason
        assert plan.reason
        low, high = parents[0].low, parents[-1].high
        assert len(plan.workers) == 1 + len(plan.keys)
        assert bool(plan.keys) is (plan.kind is PlanKind.SPLIT)
        cuts = [low, *(int.from_bytes(key[:8], "big") + bool(key[8:]) for key in plan.keys), high]
        assert all(left < right for left, right in pairwise(cuts))
        bounds = [(*bound, worker) for bound, worker in zip(pairwise(cuts), plan.workers, strict=True)]
        self.ranges = [one for one in self.ranges if one not in parents]
        children = []
        for child_low, child_high, worker in bounds:
            ready = self.round + CHANGE_ROUNDS
            child = ModelRange(child_low, child_high, worker, self.next_segment, self.round, ready, len(self.plans))
            self.next_segment += 1
            insort(self.ranges, child, key=attrgetter("low"))
            children.append(child.segment)
        self.history.note_change(plan.kind, plan.segments, children, now_ns)

    def _measured(self) -> list[RangeLoad]:
        total = sum(of.amount for of in self.content)
        many = min(self.options.split_bytes, max(FIRST_SPLIT_BYTES, total / RANGES_PER_WORKER / len(self.workers)))
        return [self._measure(one, many) for one in self.ranges]

    def _measure(self, one: ModelRange, many: float) -> RangeLoad:
        age = self.round - one.made
        ramp = min(1, age)
        busy = self._amount(self.busy, one) * ramp * self.rng.uniform(1 - self.noise, 1 + self.noise)
        appends = self.appended_per_s * ramp if one.low <= self.edge < one.high else 0.0
        stored = self._amount(self.content, one)
        return RangeLoad(
            one.segment,
            key_of(one.low) if one.low else b"",
            key_of(one.high) if one.high < KEYS else b"",
            one.worker,
            int(stored),
            int(stored / 100),
            busy,
            int(max(busy * OPERATIONS_WHEN_BUSY, appends)),
            int(appends),
            int(appends),
            tuple(map(key_of, self._sample(one))) if busy > 0.1 else (),
            key_of(self.edge) if appends else b"",
            tuple(key_of(self._cut(one, part / 16)) for part in range(1, 16)) if stored > many else (),
            age * SECOND_NS,
            self.round < one.ready,
        )

    def _sample(self, one: ModelRange) -> Sequence[float]:
        parts = [(max(one.low, of.low), min(one.high, of.high), of.within(one.low, one.high)) for of in self.busy]
        parts = [part for part in parts if part[2] > 0]
        if not parts:
            return []
        chosen = self.rng.choices(parts, [amount for *_, amount in parts], k=LOAD_KEYS_MAX)
        keys = [self.rng.uniform(low, high) if high - low > 1 else low for low, high, _ in chosen]
        return sorted(keys) if self.appended_per_s else keys

    def _cut(self, one: ModelRange, share: float) -> float:
        low, high = one.low, one.high
        wanted = self._amount(self.content, one) * share
        for _ in range(20):
            cut = (low + high) / 2
            below = sum(of.within(one.low, cut) for of in self.content)
            low, high = (cut, high) if below < wanted else (low, cut)
        return low

    def _amount(self, spreads: Sequence[Spread], one: ModelRange) -> float:
        return sum(of.within(one.low, one.high) for of in spreads)

    def _check_cover(self) -> None:
        assert self.ranges[0].low == 0
        assert self.ranges[-1].high == KEYS
        assert all(left.high == right.low for left, right in pairwise(self.ranges))


def even_store(workers: int, per_worker: int, options: TopologyOptions, **settings: object) -> ModelStore:
    """A store cut evenly, as a new store is, with the ranges of each worker adjacent."""
    count = workers * per_worker
    bounds = [KEYS * at // count for at in range(count + 1)]
    ranges = [ModelRange(bounds[at], bounds[at + 1], at // per_worker, at + 1, 0) for at in range(count)]
    members = [WorkerLoad(worker) for worker in range(workers)]
    return ModelStore(members, ranges, [], [], options, **settings)  # type: ignore[arg-type]
