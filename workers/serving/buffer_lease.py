"""The worker's side of the buffer budget: how much it may buffer, what it asks for, what it gives back.

Rules that router/budget.py counts on: the lease grows only by the answer to the latest report, which the registration
sees to; and what is buffered is never more than the lease. See MemoryPlan for the bounds.
"""

from __future__ import annotations

from shardstore.memory_plan import MemoryPlan
from shardstore.wire.messages import Lease, LeaseReport

WANTED_PER_USED = 8
"""So much more than was lately used is asked for, so that layers can grow to their full size before they are sealed."""
ASKS_BELOW_PER_USED = 4
"""A lease that is less than this much more than is used is asked to grow."""
NEVER_BYTES = 2**63
SHORT_PRESSURE = 192
"""From here on a lease that does not grow is a stall: clients are slowed down."""


class BufferLease:
    """Invariant: `bytes` is at least what is buffered."""

    def __init__(self, plan: MemoryPlan, used: int) -> None:
        """The lease of a process that has buffered `used` bytes from its log: no more than the one before it had."""
        self.bytes = max(plan.lease_start, used)
        self.wanted = plan.lease_floor
        self.asks_above = 0
        """So much used or refused is reason to ask at once for a larger lease."""
        self._plan = plan
        self._peak = used
        self._in_vain = False
        self._set(self.bytes)

    @property
    def is_short(self) -> bool:
        """Whether less was granted than was asked for."""
        return self._in_vain

    def pass_time(self) -> None:
        """A heartbeat later: forget an eighth of what was used at the most."""
        self._peak -= self._peak // 8

    def report(self, used: int, refused: int, draining: int) -> LeaseReport:
        """What to tell the router; `refused` would have been used too. Gives back what is idle."""
        plan = self._plan
        self._peak = max(self._peak, used + refused)
        self.wanted = min(plan.lease_floor + WANTED_PER_USED * self._peak, plan.lease_max)
        self._set(max(min(plan.lease_floor, self.bytes), used, min(self.bytes, self.wanted)))
        return LeaseReport(self.bytes, used, draining, self.wanted)

    def take(self, lease: Lease, used: int) -> None:
        """The router's answer. A smaller lease is reached as drains allow, with a little room left until then."""
        lease_bytes = max(lease.lease, min(self.bytes, used + used // 8))
        self._in_vain = lease_bytes < self.wanted
        self._set(lease_bytes)

    def _set(self, lease_bytes: int) -> None:
        """Have this lease. Where more cannot be had, or was not granted, only the next heartbeat asks again."""
        self.bytes = lease_bytes
        useless = self._in_vain or lease_bytes >= self._plan.lease_max
        spare_bytes = max(0, lease_bytes - self._plan.lease_floor)
        self.asks_above = NEVER_BYTES if useless else spare_bytes // ASKS_BELOW_PER_USED
