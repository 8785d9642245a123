"""Which ranges to split, where, and who gets the parts.

**By bytes:** a range above the size that the store has for one (sizes.py), into as many parts as leaves each well below
it: they go to whom they even out the bytes. A range that is filled at its right end is split behind its last key too,
a little earlier: what is left of it is full and rests, the right one is empty and goes to another worker, so the hot
edge wanders. It stays where it is when the other worker has so many hot edges already that it would be the busier one.

**By load:** in a store of several workers, a range that is busier than half the mean of all workers. Of ranges smaller
than that an even load can be made by moving; so splitting ends by itself: fewer than two for each worker are ever
above it. The key is the one among the sampled that halves the load best. Where each key leaves nearly all on one side,
the load is one key's: the verdict is `unsplittable`, once, and the range is left alone until it expires. Load
that drifts through the keys is not halved by any key either, and none is cut off behind it; where it is inserts at the
right end, the range is split there once it is large enough to be one of its own.

Between two decisions about a range lies the cooldown, and what is merged is far below what is split (merge_policy).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from shardstore.limits import KEY_BYTES_MAX
from shardstore.router.policies.history import History
from shardstore.router.policies.loads import RangeLoad, StoreLoad
from shardstore.router.policies.placement import APART_SHARE, gain, least_busy, owners_of_parts
from shardstore.router.policies.plan import Plan, PlanKind, Unsplittable
from shardstore.router.policies.sizes import has_rested, share_bytes, split_bytes
from shardstore.topology_options import TopologyOptions

BUSY_MIN = 0.2
"""A range that takes less of a worker's time is not split for its load."""
BUSY_SHARE_OF_MEAN = 0.5
APPEND_SHARE_MIN = 0.8
"""Of the puts: from this share on a range is filled at its right end."""
APPEND_FULL_SHARE = 0.75
"""Of what a range may hold: such a range is split a little earlier, so that the left child is not split again."""
PART_SHARE = 0.6
"""Of what a range may hold: the parts of a split are so large at most, where they can be told."""
APPEND_LOAD_MIN = 0.5
"""Of all operations: from this share of appends on, the load of a range is at its right end."""
APPEND_BYTES_SHARE = 0.5
"""Of what a range may hold: a range so full is split at its right end for its load."""
KEYS_MIN = 16
"""Fewer sampled keys say nothing of the load."""
HALF_MIN = 0.25
"""The smaller child gets this share of the load at least; else the load is one key's."""
DRIFT_HALF_MIN = 0.125
"""The same for the older and the newer sampled keys alone; else the load drifts, and one child would soon be cold."""


def splits(
    loads: StoreLoad, history: History, options: TopologyOptions, now_ns: int
) -> tuple[list[Plan], list[Unsplittable]]:
    """Splits that are due, the most urgent first, and new verdicts."""
    receivers = loads.receivers()
    limit = split_bytes(loads, options)
    candidates = [load for load in loads.ranges if not load.changing and load.worker in receivers]
    full = [load for load in candidates if load.size_bytes > APPEND_FULL_SHARE * limit]
    by_size = sorted(full, key=lambda load: -load.size_bytes)
    rested = [load for load in by_size if has_rested(load, history, options, now_ns)]
    part_bytes = max(1.0, PART_SHARE * share_bytes(loads, options))
    plans = list(_one_edge_at_a_time([_by_bytes(load, loads, limit, part_bytes) for load in rested], loads))
    verdicts: list[Unsplittable] = []
    planned = {segment for plan in plans for segment in plan.segments}
    for load in _hot(candidates, loads, options):
        is_rested = history.age_ns(load.segment, now_ns) >= options.cooldown_ns
        if not is_rested or load.segment in planned or history.is_unsplittable(load.segment, now_ns):
            continue
        match _by_load(load, loads, limit):
            case Plan() as plan:
                plans.append(plan)
            case Unsplittable() as verdict:
                verdicts.append(verdict)
    return plans, verdicts


def _one_edge_at_a_time(plans: Iterable[Plan | None], loads: StoreLoad) -> Iterator[Plan]:
    """All but those that give another hot edge away: the next look sees where the first one went."""
    of_segment = {load.segment: load for load in loads.ranges}
    is_given = False
    for plan in plans:
        if plan is None:
            continue
        load = of_segment[plan.segments[0]]
        gives = plan.keys[-1] == _behind_last(load) and plan.workers[-1] != load.worker
        if not (gives and is_given):
            yield plan
        is_given |= gives


def _hot(candidates: Sequence[RangeLoad], loads: StoreLoad, options: TopologyOptions) -> Iterator[RangeLoad]:
    """Ranges with so much load that it cannot be spread by moving whole ranges, the busiest first."""
    if len(loads.receivers()) < 2:
        return
    limit = max(BUSY_MIN, BUSY_SHARE_OF_MEAN * loads.busy_mean())
    for load in sorted([load for load in candidates if load.busy > limit], key=lambda load: -load.busy):
        if load.settled and load.operations_per_s >= options.split_operations:
            yield load


def _by_bytes(load: RangeLoad, loads: StoreLoad, limit: int, part_bytes: float) -> Plan | None:
    what = f"{load.size_bytes} bytes, limit {limit}"
    at_end = _behind_last(load) if load.append_share >= APPEND_SHARE_MIN else b""
    if at_end and load.size_bytes <= limit:
        return _at_end(load, at_end, loads, what)
    if load.size_bytes <= limit:
        return None
    keys = _even_cuts(load, math.ceil(load.size_bytes / part_bytes))
    if not keys:
        return _at_end(load, at_end, loads, what) if at_end else None
    workers = owners_of_parts(loads, [load.size_bytes / (len(keys) + 1)] * (len(keys) + 1), load.worker)
    if at_end:
        keys, workers = (*keys, at_end), (*workers, _edge_taker(load, loads))
    return Plan(PlanKind.SPLIT, (load.segment,), workers, what, keys)


def _even_cuts(load: RangeLoad, parts: int) -> tuple[bytes, ...]:
    """The keys that cut a range into so many parts of about the same bytes, or into fewer: as many as can be told."""
    known = [key for key in load.cuts if load.can_split_at(key)]
    if not known:
        median = sorted(load.keys)[len(load.keys) // 2] if load.keys else b""
        return (median,) if load.can_split_at(median) else ()
    parts = max(2, parts)
    if 2 * parts > len(known) + 1:  # fewer would not be even
        return tuple(known)
    return tuple(known[(len(known) + 1) * part // parts - 1] for part in range(1, parts))


def _by_load(load: RangeLoad, loads: StoreLoad, limit: int) -> Plan | Unsplittable | None:
    what = f"{load.busy:.0%} of a worker's time, {load.operations_per_s} operations a second"
    if load.appends_per_s >= APPEND_LOAD_MIN * load.operations_per_s:
        at_end = _behind_last(load)
        if load.size_bytes < APPEND_BYTES_SHARE * limit or not at_end:
            return None
        return _at_end(load, at_end, loads, what)
    if len(load.keys) < KEYS_MIN:
        return None
    key, smaller = _halving_key(load)
    if smaller >= HALF_MIN:
        if _drifts(load.keys, key):
            return None
        right_busy = load.busy * _share_from(load.keys, key)
        workers = (load.worker, _taker(load, right_busy, loads))
        return Plan(PlanKind.SPLIT, (load.segment,), workers, what, (key,), for_load=True)
    hottest, times = Counter(load.keys).most_common(1)[0]
    share = times / len(load.keys)
    if share <= 1 - 2 * HALF_MIN:  # no one key: the sample is of keys that the range had before
        return None
    return Unsplittable(load.segment, hottest, f"{what}, of which one key has {share:.0%}")


def _behind_last(load: RangeLoad) -> bytes:
    """The key behind everything the range holds; empty when a range cannot start there."""
    behind = (max([load.last, *load.cuts[-1:]]) + b"\0")[:KEY_BYTES_MAX]
    return behind if load.last and load.can_split_at(behind) else b""


def _at_end(load: RangeLoad, key: bytes, loads: StoreLoad, what: str) -> Plan:
    """The split behind the last key; the right child takes what comes from now on."""
    reason = f"{what}; {load.append_share:.0%} of the puts are at the right end"
    return Plan(PlanKind.SPLIT, (load.segment,), (load.worker, _edge_taker(load, loads)), reason, (key,))


def _edge_taker(load: RangeLoad, loads: StoreLoad) -> int:
    """Who takes what comes at the right end of a range: another worker, unless that makes appends clearly less even."""
    appends = dict.fromkeys(loads.receivers(), 0)
    for edge in loads.ranges:
        is_open = not edge.last or _behind_last(edge)
        if edge.worker in appends and edge is not load and edge.append_share >= APPEND_SHARE_MIN and is_open:
            appends[edge.worker] += edge.appends_per_s
    others = [worker for worker in appends if worker != load.worker]
    fewest = min(map(appends.__getitem__, others), default=0)
    taker = least_busy(loads, [worker for worker in others if appends[worker] == fewest])
    if taker is None:
        return load.worker
    staying = max(appends[load.worker] + load.appends_per_s, appends[taker])
    going = max(appends[load.worker], appends[taker] + load.appends_per_s)
    return taker if going <= (1 + APART_SHARE) * staying else load.worker


def _halving_key(load: RangeLoad) -> tuple[bytes, float]:
    """The sampled key at which the range is cut best, and the share of load in the smaller half."""
    best, best_share = b"", 0.0
    for key in sorted(set(load.keys)):
        share = _share_from(load.keys, key)
        if load.can_split_at(key) and min(share, 1 - share) > best_share:
            best, best_share = key, min(share, 1 - share)
    return best, best_share


def _drifts(keys: Sequence[bytes], key: bytes) -> bool:
    """Whether the load has moved from one side of the key to the other while the sample was taken."""
    shares = [_share_from(half, key) for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :])]
    return min(*shares, *(1 - share for share in shares)) < DRIFT_HALF_MIN


def _share_from(keys: Sequence[bytes], key: bytes) -> float:
    """The share of sampled keys at or above a key."""
    return 1 - bisect_left(sorted(keys), key) / len(keys)


def _taker(load: RangeLoad, busy: float, loads: StoreLoad) -> int:
    """Who gets the right child with this load: another worker if that is worth it, else its own."""
    steady = loads.steady()
    taker = least_busy(loads, [worker for worker in steady if worker != load.worker])
    if taker is None or load.worker not in steady:
        return load.worker
    return taker if gain(loads, busy, load.worker, taker) else load.worker
