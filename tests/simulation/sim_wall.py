"""Wall clocks of simulated processes: they drift, and jump, also back."""

from __future__ import annotations

import random
from bisect import bisect_right

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from tests.simulation.sim_clock import SimClock

EPOCH_MS = 1_700_000_000_000
"""What a wall clock that is right shows at the start of a simulation."""
HORIZON_NS = 600 * SECOND_NS
DRIFT = 1e-3
JUMPS_MAX = 9


class SimWall:
    """The time of day as one process sees it, at most `off_ms` from what is right. 0: it is always right."""

    def __init__(self, clock: SimClock, rng: random.Random, off_ms: int) -> None:
        self._clock = clock
        self._drift = rng.uniform(-DRIFT, DRIFT) if off_ms else 0.0
        jumps = sorted(rng.randrange(HORIZON_NS) >> rng.choice((4, 8, 9)) for _ in range(rng.randint(1, JUMPS_MAX)))
        self._jumps_ns = [0, *jumps]
        self._offsets_ms = [rng.randint(-off_ms, off_ms) for _ in self._jumps_ns]

    def now_ms(self) -> int:
        """Return the milliseconds since the epoch."""
        now_ns = self._clock.now_ns()
        offset_ms = self._offsets_ms[bisect_right(self._jumps_ns, now_ns) - 1]
        return EPOCH_MS + int(now_ns * (1 + self._drift)) // MILLISECOND_NS + offset_ms
