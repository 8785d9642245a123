"""Chooses ranges to move, and the workers that take them.

1. The ranges of a leaving worker go first, without a cooldown, each to the least busy worker.
2. **Load:** from the busiest worker to the least busy one goes the range that lowers the higher of the two loads most.
3. **Bytes:** while two workers differ by more bytes than a range may hold (sizes.py), a range goes from the worker that
   stores most to the one that stores least. If the taker would be busy with it, only a cold range goes.

Each move lowers the higher load (placement.py), or the higher number of bytes, of two workers by a threshold. No move
for bytes makes a worker so busy that a move for load follows. So the moves come to an end, and none is undone. A move
for load needs two steady workers (loads.py); bytes are known at any time.
"""

from __future__ import annotations

from collections.abc import Iterator

from shardstore.router.policies.history import History
from shardstore.router.policies.loads import RangeLoad, StoreLoad
from shardstore.router.policies.placement import GAIN_FLOOR, gain, least_busy
from shardstore.router.policies.plan import Plan, PlanKind
from shardstore.router.policies.sizes import has_cooled_down, split_bytes
from shardstore.topology_options import TopologyOptions

GIVER_BUSY_MIN = 0.3
"""A worker that is less busy gives no range away for its load."""
COLD_BUSY = GAIN_FLOOR / 2
"""A range with less load may be moved for its bytes, since no move for load would move it back ..."""
TAKER_BUSY_MAX = 0.2
"""... and so may any range if the taker stays below this load with it, as no move for load follows then."""
BYTES_LESS_MIN = 0.1
"""The minimum bytes by which a move for bytes lowers the higher of the two, as a share of the mean of all workers."""


def moves(loads: StoreLoad, history: History, options: TopologyOptions, now_ns: int) -> list[Plan]:
    """Plan the moves that even out load and bytes: at most one for load, and any number for bytes."""
    for_load = _for_load(loads, history, options, now_ns)
    return [*([for_load] if for_load else []), *_for_bytes(loads, history, options, now_ns)]


def evacuations(loads: StoreLoad) -> Iterator[Plan]:
    """Plan all moves away from leaving workers that are up, the busiest ranges first, each to the least busy worker."""
    receivers = loads.receivers()
    if not receivers:
        return
    bytes_then = {worker: loads.size_bytes(worker) for worker in receivers}
    busy_then = {worker: loads.busy(worker) for worker in receivers}
    for giver in loads.workers:
        if not (giver.leaving and giver.up):
            continue
        for load in sorted(loads.ranges_of(giver.worker), key=lambda load: (-load.busy, -load.size_bytes)):
            if not load.changing:
                taker = min(receivers, key=lambda worker: (round(busy_then[worker], 2), bytes_then[worker], worker))
                busy_then[taker] += load.busy
                bytes_then[taker] += load.size_bytes
                yield Plan(PlanKind.MOVE, (load.segment,), (taker,), f"worker {giver.worker} leaves")


def _for_load(loads: StoreLoad, history: History, options: TopologyOptions, now_ns: int) -> Plan | None:
    steady = loads.steady()
    taker = least_busy(loads, steady)
    if taker is None:
        return None

    def is_ripe(load: RangeLoad) -> bool:
        return load.settled and history.age_ns(load.segment, now_ns) >= options.cooldown_ns

    def gain_of(load: RangeLoad) -> float:
        return gain(loads, load.busy, load.worker, taker)

    for giver in sorted(steady, key=loads.busy, reverse=True):
        if loads.busy(giver) < GIVER_BUSY_MIN:
            break
        best = max(filter(is_ripe, loads.ranges_of(giver)), key=gain_of, default=None)
        if best is not None and gain_of(best):
            shares = f"worker {giver} is {loads.busy(giver):.0%} busy, worker {taker} {loads.busy(taker):.0%}"
            reason = f"{shares}, this range {best.busy:.0%}"
            return Plan(PlanKind.MOVE, (best.segment,), (taker,), reason, for_load=True)
    return None


def _for_bytes(loads: StoreLoad, history: History, options: TopologyOptions, now_ns: int) -> Iterator[Plan]:
    """Plan moves one after the other, each as if those before were done, until no further move is worth it."""
    stored = {worker: loads.size_bytes(worker) for worker in loads.receivers()}
    busy = {worker: loads.busy(worker) for worker in stored}
    limit = split_bytes(loads, options)
    less_min = max(1.0, BYTES_LESS_MIN * loads.size_bytes_mean())
    moved: set[int] = set()

    def is_ripe(load: RangeLoad) -> bool:
        return not load.changing and load.segment not in moved and has_cooled_down(load, history, options, now_ns)

    while len(stored) > 1:
        taker = min(stored, key=stored.__getitem__)

        def less(load: RangeLoad) -> int:
            return min(load.size_bytes, stored[load.worker] - stored[taker] - load.size_bytes)  # noqa: B023

        givers = [worker for worker in stored if stored[worker] - stored[taker] > limit]
        movable = [
            load
            for giver in sorted(givers, key=stored.__getitem__, reverse=True)
            for load in loads.ranges_of(giver)
            if (load.busy < COLD_BUSY or busy[taker] + load.busy < TAKER_BUSY_MAX) and is_ripe(load)
        ]
        best = max(movable, key=less, default=None)
        if best is None or less(best) < less_min:
            return
        sizes = f"worker {best.worker} stores {stored[best.worker]} bytes, worker {taker} {stored[taker]}"
        yield Plan(PlanKind.MOVE, (best.segment,), (taker,), f"{sizes}, this range {best.size_bytes}")
        moved.add(best.segment)
        for worker, sign in ((best.worker, -1), (taker, 1)):
            stored[worker] += sign * best.size_bytes
            busy[worker] += sign * best.busy
