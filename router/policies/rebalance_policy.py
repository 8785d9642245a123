"""Which ranges to move to which workers.

1. Ranges of a worker that leaves go first, without a cooldown, each to who has least to do.
2. **Load:** from the busiest worker to the least busy one, the range whose move lowers the higher of the two most.
3. **Bytes:** from who stores most to who stores least, when they are apart by more than a range may hold (sizes.py),
   until they are not. Where the taker would be busy with it, only cold ranges.

Each move lowers the load of the busier (placement.py), or the bytes of the fuller, of two workers by a threshold, and
no move for bytes makes a worker so busy that a move for load follows: so the moves come to an end, and none is taken
back. For load both workers must be steady (loads.py); bytes are known at any time.
"""

from __future__ import annotations

from collections.abc import Iterator

from shardstore.router.policies.history import History
from shardstore.router.policies.loads import RangeLoad, StoreLoad
from shardstore.router.policies.placement import GAIN_FLOOR, gain, least_busy
from shardstore.router.policies.plan import Plan, PlanKind
from shardstore.router.policies.sizes import has_rested, split_bytes
from shardstore.topology_options import TopologyOptions

BUSY_MIN = 0.3
"""A worker that is less busy gives nothing away for its load."""
COLD_BUSY = GAIN_FLOOR / 2
"""A range with less load may be moved for its bytes: no move for load is worth its way back ..."""
TAKER_BUSY_MAX = 0.2
"""... and any range to who is less busy even with it: so little is not moved for its load."""
BYTES_LESS_MIN = 0.1
"""Of the mean of all workers: what a move for bytes takes from the fuller of the two at least."""


def moves(loads: StoreLoad, history: History, options: TopologyOptions, now_ns: int) -> list[Plan]:
    """Moves that even out the workers: at most one for load."""

    for_load = _for_load(loads, history, options, now_ns)
    return [*([for_load] if for_load else []), *_for_bytes(loads, history, options, now_ns)]


def evacuations(loads: StoreLoad) -> Iterator[Plan]:
    """All moves away from workers that leave and are up, the busiest ranges first, to who will have least by then."""
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
        if loads.busy(giver) < BUSY_MIN:
            break
        best = max(filter(is_ripe, loads.ranges_of(giver)), key=gain_of, default=None)
        if best is not None and gain_of(best):
            shares = f"worker {giver} is {loads.busy(giver):.0%} busy, worker {taker} {loads.busy(taker):.0%}"
            reason = f"{shares}, this range {best.busy:.0%}"
            return Plan(PlanKind.MOVE, (best.segment,), (taker,), reason, for_load=True)
    return None


def _for_bytes(loads: StoreLoad, history: History, options: TopologyOptions, now_ns: int) -> Iterator[Plan]:
    """Move after move, each as if those before were done, until the workers are even or no range evens them out."""
    stored = {worker: loads.size_bytes(worker) for worker in loads.receivers()}
    busy = {worker: loads.busy(worker) for worker in stored}
    limit = split_bytes(loads, options)
    less_min = max(1.0, BYTES_LESS_MIN * loads.size_bytes_mean())
    moved: set[int] = set()

    def is_ripe(load: RangeLoad) -> bool:
        return not load.changing and load.segment not in moved and has_rested(load, history, options, now_ns)

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
