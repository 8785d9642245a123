"""To whom load or bytes should go, if to anyone: shared by all who give ranges away."""

from __future__ import annotations

from collections.abc import Collection

from router.policies.loads import StoreLoad

BUSY_GAIN_MIN = 0.2
"""A move makes the busier of the two workers less busy by so much of its load at least ..."""
BUSY_GAIN_FLOOR = 0.05
"""... and of its time."""


def least_busy(loads: StoreLoad, workers: Collection[int]) -> int | None:
    """Of these workers the least busy, and among equals the one that stores least; None when there is none."""
    return min(
        workers, key=lambda worker: (round(loads.busy(worker), 2), loads.size_bytes(worker), worker), default=None
    )


def busy_gain(loads: StoreLoad, busy: float, giver: int, taker: int) -> float:
    """By how much the busier of the two is less busy when the taker has this load."""
    given, taken = loads.busy(giver), loads.busy(taker)
    return max(given, taken) - max(given - busy, taken + busy)


def is_worth(gain: float, giver_busy: float) -> bool:
    """Whether a gain is worth a change, and no accident of measuring."""
    return gain >= max(BUSY_GAIN_FLOOR, BUSY_GAIN_MIN * giver_busy)
