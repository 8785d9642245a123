"""To whom load or bytes should go, if to anyone: shared by all who give ranges away."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shardstore.router.policies.loads import StoreLoad

APART_SHARE = 0.3
"""Two workers are uneven when their loads are apart by so much of the larger one at least ..."""
APART_FLOOR = 0.15
"""... and by so much of a worker's time."""
GAIN_SHARE_MIN = 0.5
"""Of the load that moves: by so much the busier of the two is less busy afterwards, whichever that is then."""
GAIN_FLOOR = 0.005


def least_busy(loads: StoreLoad, workers: Collection[int]) -> int | None:
    """Of these workers the least busy, and among equals the one that stores least; None when there is none."""

    def work(worker: int) -> tuple[float, int, int]:
        return round(loads.busy(worker), 2), loads.size_bytes(worker), worker

    return min(workers, key=work, default=None)


def owners_of_parts(loads: StoreLoad, sizes: Sequence[float], home: int) -> tuple[int, ...]:
    """Who is to have the parts of a range that its owner `home` gives up, in key order; by their bytes.

    A part goes to who stores least by then, if it stores no more than its former owner even with that part.
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
    """By how much the busier of the two is less busy when the taker has this load; zero where that is not worth it.

    The first condition keeps errors of measuring from moving anything. The second keeps what has moved where it is: the
    taker is then busier by half of it at most, so to move it back would gain nothing.
    """
    given, taken = loads.busy(giver), loads.busy(taker)
    apart = given - taken
    if apart < max(APART_FLOOR, APART_SHARE * given):
        return 0.0
    less = min(busy, apart - busy)
    return less if less >= max(GAIN_FLOOR, GAIN_SHARE_MIN * busy) else 0.0
