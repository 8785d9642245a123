"""The worker's side of the memory budget: how much it may buffer, how much it asks for, how much it gives back.

router/budget.py relies on two rules. A lease grows only by the reply to the latest report (registration.py ignores all
others), and no more is buffered than the lease. See MemoryPlan for the limits.
"""

from __future__ import annotations

from shardstore.memory_plan import MemoryPlan
from shardstore.wire.messages import Lease, LeaseReport

WANTED_PER_USED = 8
"""Bytes to ask for per byte that was lately used, so that layers can grow to their full size before they are sealed."""
ASKS_BELOW_PER_USED = 4
"""A worker asks for more at once if its lease beyond the floor is less than this many times what is used."""
NEVER_BYTES = 2**63
SHORT_PRESSURE = 192
"""Pressure above which a lease that does not grow is a stall, as clients are slowed down."""


class BufferLease:
    """The lease of one worker process. Invariant: `bytes` is at least what is buffered."""

    def __init__(self, plan: MemoryPlan, used: int) -> None:
        """The first lease of a process that has replayed `used` bytes. The process before had at least as much."""
        self.bytes = max(plan.lease_start, used)
        self.wanted = plan.lease_floor
        self.asks_above = 0
        """If more than this is used or refused, the worker asks for a larger lease at once."""
        self._plan = plan
        self._peak = used
        self._in_vain = False
        self._set(self.bytes)

    @property
    def is_short(self) -> bool:
        """Whether less was granted than the worker asked for."""
        return self._in_vain

    def pass_time(self) -> None:
        """Let the peak of what was used decay by an eighth: one interval of heartbeats has passed."""
        self._peak -= self._peak // 8

    def report(self, used: int, refused: int, draining: int) -> LeaseReport:
        """Give back what is idle, and report to the router. `refused` bytes would have been used too."""
        plan = self._plan
        self._peak = max(self._peak, used + refused)
        self.wanted = min(plan.lease_floor + WANTED_PER_USED * self._peak, plan.lease_max)
        self._set(max(min(plan.lease_floor, self.bytes), used, min(self.bytes, self.wanted)))
        return LeaseReport(self.bytes, used, draining, self.wanted)

    def take(self, lease: Lease, used: int) -> None:
        """Take the lease that the router granted. If it is less than is used, the worker shrinks to it as it drains.

        Until then at most an eighth more than is used may be buffered.
        """
        lease_bytes = max(lease.lease, min(self.bytes, used + used // 8))
        self._in_vain = lease_bytes < self.wanted
        self._set(lease_bytes)

    def check_invariants(self, used: int) -> None:
        """Raise AssertionError if the invariant does not hold. `used`: what is buffered."""
        assert used <= self.bytes, "more is buffered than the lease allows"

    def _set(self, lease_bytes: int) -> None:
        """Set the lease. If it is the maximum, or less than was wanted, only the next heartbeat asks for more."""
        self.bytes = lease_bytes
        useless = self._in_vain or lease_bytes >= self._plan.lease_max
        spare_bytes = max(0, lease_bytes - self._plan.lease_floor)
        self.asks_above = NEVER_BYTES if useless else spare_bytes // ASKS_BELOW_PER_USED
