"""Chooses ranges to split, the keys to split at, and the workers that get the pieces.

**By bytes:** a range above the limit (sizes.py) is split into pieces well below it. The pieces go to the workers
where they even out the bytes. A range that is filled at its right end is split behind its last key too, and a little
earlier. The left child is full and rests. The right child is empty and goes to another worker, so the hot edge moves
from worker to worker. It stays if the other worker already has so many hot edges that it would become the busier one.

**By load:** in a store of several workers, a range that is busier than half the mean of all workers is split. Smaller
loads can be evened out by moves. Splitting comes to an end, since fewer than two ranges for each worker can be above
that limit. The policy splits at the sampled key that halves the load best. If every key leaves nearly all load on one
side, the load is on one key: the range is *unsplittable*, and is left alone for a while. Load that drifts
through the keys is not split. Load from inserts at the right end is split there once the range is large enough.

There is a cooldown between two changes of a range, and merged ranges are far below the limit of a split (merge_policy).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from shardstore.limits import KEY_BYTES_MAX
from shardstore.router.policies.history import History
from shardstore.router.policies.loads import RangeLoad, StoreLoad
from shardstore.router.policies.placement import APART_SHARE, gain, least_busy, owners_of_pieces
from shardstore.router.policies.plan import Plan, PlanKind, Unsplittable
from shardstore.router.policies.sizes import fair_range_bytes, has_cooled_down, split_bytes
from shardstore.topology_options import TopologyOptions

SPLIT_BUSY_MIN = 0.2
"""A range that takes less of a worker's time is not split for its load."""
BUSY_SHARE_OF_MEAN = 0.5
APPEND_SHARE_MIN = 0.8
"""A range is filled at its right end if at least this share of its puts is there."""
APPEND_FULL_SHARE = 0.75
"""Such a range is split once it has this share of the limit, so that the left child is not split again."""
PIECE_SHARE = 0.6
"""The maximum size of the pieces of a split, as a share of the limit, if the cuts allow it."""
APPEND_LOAD_MIN = 0.5
"""The load of a range is at its right end if at least this share of its operations are appends."""
APPEND_BYTES_SHARE = 0.5
"""A range with its load at its right end is split there once it has this share of the limit."""
KEYS_MIN = 16
"""The minimum number of sampled keys; fewer say nothing about the load."""
HALF_MIN = 0.25
"""The minimum share of the load for the smaller child; if no key allows it, the load may be on one key."""
DRIFT_HALF_MIN = 0.125
"""The same for the older and for the newer half of the sample; below it the load drifts, and one child would cool."""


def splits(
    loads: StoreLoad, history: History, options: TopologyOptions, now_ns: int
) -> tuple[list[Plan], list[Unsplittable]]:
    """Plan the splits that are due, the most urgent first. Returns them, and what was found unsplittable."""
    receivers = loads.receivers()
    limit = split_bytes(loads, options)
    candidates = [load for load in loads.ranges if not load.changing and load.worker in receivers]
    full = [load for load in candidates if load.size_bytes > APPEND_FULL_SHARE * limit]
    by_size = sorted(full, key=lambda load: -load.size_bytes)
    cooled_down = [load for load in by_size if has_cooled_down(load, history, options, now_ns)]
    piece_bytes = max(1.0, PIECE_SHARE * fair_range_bytes(loads, options))
    plans = list(_one_edge_at_a_time([_by_bytes(load, loads, limit, piece_bytes) for load in cooled_down], loads))
    unsplittable: list[Unsplittable] = []
    planned = {segment for plan in plans for segment in plan.segments}
    for load in _hot(candidates, loads, options):
        is_cooled_down = history.age_ns(load.segment, now_ns) >= options.cooldown_ns
        if not is_cooled_down or load.segment in planned or history.is_unsplittable(load.segment, now_ns):
            continue
        match _by_load(load, loads, limit):
            case Plan() as plan:
                plans.append(plan)
            case Unsplittable() as found:
                unsplittable.append(found)
    return plans, unsplittable


def _one_edge_at_a_time(plans: Iterable[Plan | None], loads: StoreLoad) -> Iterator[Plan]:
    """Drop plans that give away a second hot edge, since the next run knows where the first one went."""
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
    """The ranges with more load than moves of whole ranges can even out, the busiest first."""
    if len(loads.receivers()) < 2:
        return
    limit = max(SPLIT_BUSY_MIN, BUSY_SHARE_OF_MEAN * loads.busy_mean())
    for load in sorted([load for load in candidates if load.busy > limit], key=lambda load: -load.busy):
        if load.settled and load.operations_per_s >= options.split_operations:
            yield load


def _by_bytes(load: RangeLoad, loads: StoreLoad, limit: int, piece_bytes: float) -> Plan | None:
    what = f"{load.size_bytes} bytes, limit {limit}"
    at_end = _behind_last(load) if load.append_share >= APPEND_SHARE_MIN else b""
    if at_end and load.size_bytes <= limit:
        return _at_end(load, at_end, loads, what)
    if load.size_bytes <= limit:
        return None
    keys = _even_cuts(load, math.ceil(load.size_bytes / piece_bytes))
    if not keys:
        return _at_end(load, at_end, loads, what) if at_end else None
    workers = owners_of_pieces(loads, [load.size_bytes / (len(keys) + 1)] * (len(keys) + 1), load.worker)
    if at_end:
        keys, workers = (*keys, at_end), (*workers, _edge_taker(load, loads))
    return Plan(PlanKind.SPLIT, (load.segment,), workers, what, keys)


def _even_cuts(load: RangeLoad, pieces: int) -> tuple[bytes, ...]:
    """The keys that cut a range into `pieces` pieces of about equal bytes, or into fewer if there are too few cuts."""
    known = list(filter(load.can_split_at, dict.fromkeys(load.cuts)))
    if not known:
        median = sorted(load.keys)[len(load.keys) // 2] if load.keys else b""
        return (median,) if load.can_split_at(median) else ()
    pieces = max(2, pieces)
    if 2 * pieces > len(known) + 1:  # a choice of these keys would not be even
        return tuple(known)
    return tuple(known[(len(known) + 1) * piece // pieces - 1] for piece in range(1, pieces))


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
    if share <= 1 - 2 * HALF_MIN:  # not one key: the range no longer has the sampled keys
        return None
    return Unsplittable(load.segment, hottest, f"{what}, of which {_in_words(load, hottest)} has {share:.0%}")


def _in_words(load: RangeLoad, key: bytes) -> str:
    return f"what is kept together at {key!r}" if key in load.together else "one key"


def _behind_last(load: RangeLoad) -> bytes:
    """The key just after the last key of the range; empty if no range can start there."""
    behind = (max([load.last, *load.cuts[-1:]]) + b"\0")[:KEY_BYTES_MAX]
    return behind if load.last and load.can_split_at(behind) else b""


def _at_end(load: RangeLoad, key: bytes, loads: StoreLoad, what: str) -> Plan:
    """Plan a split behind the last key. The right child takes all later appends."""
    reason = f"{what}; {load.append_share:.0%} of the puts are at the right end"
    return Plan(PlanKind.SPLIT, (load.segment,), (load.worker, _edge_taker(load, loads)), reason, (key,))


def _edge_taker(load: RangeLoad, loads: StoreLoad) -> int:
    """The worker that takes the appends of a range: another worker, unless that makes appends clearly less even."""
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
    """The sampled key that halves the load best, and the share of load in the smaller half."""
    best, best_share = b"", 0.0
    for key in sorted(set(load.keys)):
        share = _share_from(load.keys, key)
        if load.can_split_at(key) and min(share, 1 - share) > best_share:
            best, best_share = key, min(share, 1 - share)
    return best, best_share


def _drifts(keys: Sequence[bytes], key: bytes) -> bool:
    """Whether the load moved from one side of the key to the other during the sample."""
    shares = [_share_from(half, key) for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :])]
    return min(*shares, *(1 - share for share in shares)) < DRIFT_HALF_MIN


def _share_from(keys: Sequence[bytes], key: bytes) -> float:
    """The share of sampled keys at or above a key."""
    return 1 - bisect_left(sorted(keys), key) / len(keys)


def _taker(load: RangeLoad, busy: float, loads: StoreLoad) -> int:
    """The worker that gets the right child with this load: another worker if that is worth it, else the same one."""
    steady = loads.steady()
    taker = least_busy(loads, [worker for worker in steady if worker != load.worker])
    if taker is None or load.worker not in steady:
        return load.worker
    return taker if gain(loads, busy, load.worker, taker) else load.worker
