"""To whom load or bytes should go, if to anyone: shared by all who give ranges away."""

from __future__ import annotations

from collections.abc import Collection

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
