"""The buffer budget: leases the bytes of MemoryPlan.buffer_bytes to the workers.

A worker sends a report with each heartbeat, and at once when it needs more memory. The report says how many bytes the
worker leases, how many it uses and how many it wants. The reply carries its new lease. Two rules make this safe:

    the worker   takes a lease only from the reply to its latest report. Between two reports it may only lower its lease
    the router   lowers `reserved`, the maximum that a worker may hold, only for a report that is newer than all before.
                 It raises `reserved` before it sends a larger lease

So a report proves that the worker holds no more than the report says, and that older replies no longer count. A lost or
repeated message can only leave too much reserved, never too little. A worker that is down keeps its reservation, since
its next process replays its log. A worker that has not reported to this router yet may hold any amount, so no lease
grows until all workers have reported.

Each worker gets what it wants if the budget allows that. Otherwise the budget is shared by max-min fairness: no worker
gets less than the floor, and no worker gets more than another one that wants more. A worker with more than its share
gets a smaller lease, and shrinks to it as it drains; a drain needs no memory from the budget. If a worker is still
short, the router orders drains from the workers that can free most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from shardstore.memory_plan import MemoryPlan
from shardstore.stats_schema import BudgetStats
from shardstore.wire.messages import Lease, LeaseReport


@dataclass(frozen=True, slots=True)
class Account:
    """What the router knows of the memory of one worker, in bytes.

    `reserved`: the maximum that it may hold; None if that is not known. `used`: what it buffers; of that, `draining` is
    being drained. `wanted`: the lease it asks for. `alive`: it has reported since it registered. `sequence`: the number
    of its newest message.
    """

    reserved: int | None = None
    used: int = 0
    draining: int = 0
    wanted: int = 0
    alive: bool = False
    sequence: int = 0

    @property
    def is_short(self) -> bool:
        """Whether the worker wants more memory and uses at least three quarters of its lease."""
        return self.alive and self.wanted > (self.reserved or 0) and self.used >= (self.reserved or 0) * 3 // 4


def free_bytes(accounts: Mapping[int, Account], plan: MemoryPlan) -> int:
    """The bytes that are not reserved; 0 while the reservation of any worker is unknown."""
    reserved = [account.reserved for account in accounts.values()]
    if None in reserved:
        return 0
    return max(0, plan.buffer_bytes - sum(filter(None, reserved)))


def floor_of(accounts: Mapping[int, Account], plan: MemoryPlan) -> int:
    """The minimum share of each worker. It is smaller than the planned floor if workers were added."""
    return min(plan.lease_floor, plan.buffer_bytes // max(1, len(accounts)))


def fair_shares(accounts: Mapping[int, Account], plan: MemoryPlan) -> dict[int, int]:
    """The share of each worker that is alive, by max-min fairness, after the reservations of the others."""
    alive = {worker: account for worker, account in accounts.items() if account.alive}
    floor = floor_of(accounts, plan)
    others = [account.reserved or floor for account in accounts.values() if not account.alive]
    left = plan.buffer_bytes - sum(others) - len(alive) * floor
    shares = {}
    by_want = sorted(alive, key=lambda worker: (alive[worker].wanted, worker))
    for place, worker in enumerate(by_want):
        more = max(0, min(alive[worker].wanted - floor, left // (len(by_want) - place)))
        shares[worker] = floor + more
        left -= more
    return shares


def lease_for(worker: int, accounts: Mapping[int, Account], plan: MemoryPlan) -> int:
    """The new lease of a worker that has reported. If it is less than the worker holds, the worker shrinks to it."""
    held = accounts[worker].reserved
    assert held is not None, "the worker has just reported"
    share = fair_shares(accounts, plan)[worker]
    return min(share, held + free_bytes(accounts, plan))


def drains_to_order(accounts: Mapping[int, Account], plan: MemoryPlan) -> dict[int, int]:
    """The bytes that each worker should drain so that no worker is short. The workers that can free most come first.

    Empty until all workers have reported, since a short worker may then get a larger lease without drains.
    """
    if any(account.reserved is None for account in accounts.values()):
        return {}
    needed = sum(account.wanted - (account.reserved or 0) for account in accounts.values() if account.is_short)
    needed -= free_bytes(accounts, plan)
    sealable = {worker: account.used - account.draining for worker, account in accounts.items() if account.alive}
    orders = {}
    for worker in sorted(sealable, key=lambda worker: (-sealable[worker], worker)):
        if needed > 0 and sealable[worker] >= plan.lease_floor // 8:
            orders[worker] = min(needed, sealable[worker])
            needed -= orders[worker]
    return orders


class Budget:
    """The memory accounts of all workers of a store.

    Invariant: once all workers have reported, the sum of `reserved` is at most MemoryPlan.buffer_bytes. Only a worker
    that has replayed more than its lease may break it, until its drains are done.
    """

    def __init__(self, plan: MemoryPlan, workers: Iterable[int]) -> None:
        self._plan = plan
        self.accounts = {worker: Account() for worker in workers}

    def join(self, worker: int, sequence: int) -> None:
        """Note that a process of the worker has registered. Its reservation stays the same until it reports.

        A worker that was added since this router started begins with no reservation and an empty lease.
        """
        account = self.accounts.get(worker, Account(reserved=0))
        self.accounts[worker] = replace(account, alive=False, sequence=sequence)

    def lose(self, worker: int) -> None:
        """Mark the worker as down. It keeps its reservation."""
        if worker in self.accounts:
            self.accounts[worker] = replace(self.accounts[worker], alive=False)

    def forget(self, worker: int) -> None:
        """Remove the account of a worker that was removed from the store."""
        self.accounts.pop(worker, None)

    def renew_lease(self, worker: int, sequence: int, report: LeaseReport) -> Lease:
        """Record a report and return the new lease. A report that is not newer than the last one changes nothing."""
        if sequence <= self.accounts[worker].sequence:
            return Lease(report.lease, 0)
        account = Account(report.lease, report.used, report.draining, report.wanted, alive=True, sequence=sequence)
        self.accounts[worker] = account
        lease = lease_for(worker, self.accounts, self._plan)
        self.accounts[worker] = replace(account, reserved=max(report.lease, lease))
        return Lease(lease, drains_to_order(self.accounts, self._plan).get(worker, 0))

    @property
    def short(self) -> list[int]:
        """The workers that are short of memory, and will soon refuse writes."""
        return [worker for worker, account in self.accounts.items() if account.is_short]

    def check_invariants(self) -> None:
        """Raise AssertionError if the invariant does not hold."""
        reserved = [account.reserved for account in self.accounts.values()]
        leased = 0 if None in reserved else sum(filter(None, reserved))
        assert leased <= self._plan.buffer_bytes, f"{leased} bytes are leased of {self._plan.buffer_bytes}"

    def statistics(self) -> BudgetStats:
        """Statistics of the budget, in bytes."""
        accounts = self.accounts.values()
        return {
            "bytes": self._plan.buffer_bytes,
            "granted": sum(account.reserved or 0 for account in accounts),
            "used": sum(account.used for account in accounts),
            "free": free_bytes(self.accounts, self._plan),
            "unheard": sum(account.reserved is None for account in accounts),
            "workers": {
                worker: {
                    "granted": account.reserved,
                    "used": account.used,
                    "draining": account.draining,
                    "wanted": account.wanted,
                }
                for worker, account in self.accounts.items()
            },
        }
