"""Which ranges to move to which workers.

1. Ranges of a worker that leaves go first, without a cooldown, each to who has least to do.
2. **Load:** from the busiest worker to the least busy one, the range whose move lowers the higher of the two most.
3. **Bytes:** only cold ranges, from who stores most to who stores least, when the difference exceeds what a range may
   hold.

Each move lowers the load of the busier (placement.py), or the bytes of the fuller, of two workers by a threshold, and
the two kinds move different ranges: so the moves come to an end, and none is taken back. Both workers must be steady
(loads.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shardstore.router.policies.history import History
from shardstore.router.policies.loads import RangeLoad, StoreLoad
from shardstore.router.policies.placement import GAIN_FLOOR, gain, least_busy
from shardstore.router.policies.plan import Plan, PlanKind
from shardstore.topology_options import TopologyOptions

BUSY_MIN = 0.3
"""A worker that is less busy gives nothing away for its load."""
COLD_BUSY = GAIN_FLOOR / 2
"""Ranges that are moved for their bytes have less load: no move for load is worth their way back."""
BYTES_LESS_MIN = 0.1
"""Of the mean of all workers: what a move for bytes takes from the fuller of the two at least."""


def moves(loads: StoreLoad, history: History, options: TopologyOptions, now_ns: int) -> list[Plan]:
    """Moves that even out the workers: at most one for load and one for bytes."""

    def is_rested(load: RangeLoad) -> bool:
        return load.settled and history.age_ns(load.segment, now_ns) >= options.cooldown_ns

    ripe = [load for load in loads.ranges if is_rested(load)]
    found = [_for_load(ripe, loads), _for_bytes(ripe, loads, options)]
    return [plan for plan in found if plan]


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
                yield Plan(PlanKind.MOVE, (load.segment,), taker, f"worker {giver.worker} leaves")


def _for_load(ripe: Sequence[RangeLoad], loads: StoreLoad) -> Plan | None:
    steady = loads.steady()
    taker = least_busy(loads, steady)
    if taker is None:
        return None

    def gain_of(load: RangeLoad) -> float:
        return gain(loads, load.busy, load.worker, taker)

    for giver in sorted(steady, key=loads.busy, reverse=True):
        if loads.busy(giver) < BUSY_MIN:
            break
        best = max((load for load in ripe if load.worker == giver), key=gain_of, default=None)
        if best is not None and gain_of(best):
            shares = f"worker {giver} is {loads.busy(giver):.0%} busy, worker {taker} {loads.busy(taker):.0%}"
            return Plan(PlanKind.MOVE, (best.segment,), taker, f"{shares}, this range {best.busy:.0%}")
    return None


def _for_bytes(ripe: Sequence[RangeLoad], loads: StoreLoad, options: TopologyOptions) -> Plan | None:
    steady = loads.steady()
    taker = min(steady, key=loads.size_bytes, default=None)
    if taker is None:
        return None
    less_min = max(1.0, BYTES_LESS_MIN * loads.size_bytes_mean())

    def less(load: RangeLoad) -> int:
        return min(load.size_bytes, loads.size_bytes(load.worker) - loads.size_bytes(taker) - load.size_bytes)

    for giver in sorted(steady, key=loads.size_bytes, reverse=True):
        if loads.size_bytes(giver) - loads.size_bytes(taker) <= options.split_bytes:
            break
        cold = [load for load in ripe if load.worker == giver and load.busy < COLD_BUSY]
        best = max(cold, key=less, default=None)
        if best is not None and less(best) >= less_min:
            sizes = f"worker {giver} stores {loads.size_bytes(giver)} bytes, worker {taker} {loads.size_bytes(taker)}"
            return Plan(PlanKind.MOVE, (best.segment,), taker, f"{sizes}, this range {best.size_bytes}")
    return None
