"""Chooses the workers that take load or bytes. The split and rebalance policies share it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shardstore.router.policies.loads import StoreLoad

APART_SHARE = 0.3
"""Two workers are uneven if their loads differ by at least this share of the larger load ..."""
APART_FLOOR = 0.15
"""... and by at least this share of a worker's time."""
GAIN_SHARE_MIN = 0.5
"""A move of load must lower the higher of the two loads by at least this share of the load that moves."""
GAIN_FLOOR = 0.005


def least_busy(loads: StoreLoad, workers: Collection[int]) -> int | None:
    """The least busy of these workers, and among equals the one that stores least; None if there are no workers."""

    def work(worker: int) -> tuple[float, int, int]:
        return round(loads.busy(worker), 2), loads.size_bytes(worker), worker

    return min(workers, key=work, default=None)


def owners_of_pieces(loads: StoreLoad, sizes: Sequence[float], home: int) -> tuple[int, ...]:
    """Choose the owners of the pieces of a range of worker `home`, in key order, so that they even out the bytes.

    Each piece goes to the worker that stores least so far, unless it would then store more than `home`.
    """
    stored: dict[int, float] = {worker: loads.size_bytes(worker) for worker in loads.receivers()}
    stored[home] -= sum(sizes)
    owners = []
    for size in sizes:
        least = min(stored, key=lambda worker: (stored[worker], worker))
        owner = least if stored[least] + size <= stored[home] else home
        stored[owner] += size
        owners.append(owner)
    return tuple(owners)


def gain(loads: StoreLoad, busy: float, giver: int, taker: int) -> float:
    """How much the higher load of two workers drops if the taker gets this load; zero if a move is not worth it.

    The first condition keeps errors of measurement from causing moves. The second keeps a moved range where it is: the
    taker is then busier by at most half of the moved load, so a move back would gain nothing.
    """
    given, taken = loads.busy(giver), loads.busy(taker)
    apart = given - taken
    if apart < max(APART_FLOOR, APART_SHARE * given):
        return 0.0
    less = min(busy, apart - busy)
    return less if less >= max(GAIN_FLOOR, GAIN_SHARE_MIN * busy) else 0.0
