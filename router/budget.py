"""The coordinator of the buffer budget: leases the bytes of MemoryPlan.buffer_bytes to the workers.

A worker reports with its heartbeats, and at once when it needs more: the lease it holds, what it uses, what it would
like to have. The answer carries its new lease. Grants are safe because of two rules:

    the worker   takes a lease only from the answer to the latest report it has sent; between two reports its lease
                 can only go down by its own will
    here         what a worker may hold (`reserved`) goes down only by a report that is newer than all before; it goes
                 up before a grant is sent

So a report is a proof: when it is read, the worker holds at most what it says, and old answers are void. A lost
or doubled message only leaves more reserved than is held. A worker that is down keeps what was reserved for it, since
its next process replays its log; one that was not heard since this router started may hold anything, and until all
were heard nobody is given more than it has.

Who gets how much: what they want, if that is no more than there is. Else the fair shares of max-min: nobody gets less
than the floor, and nobody gets more than another one who wants more. Who has more than its share is asked to shrink,
and does as it drains: a drain needs nothing of the budget. When someone is short and that does not help, drains are
ordered where the most is to be gained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from shardstore.memory_plan import MemoryPlan
from shardstore.stats_schema import BudgetStats
from shardstore.wire.messages import Lease, LeaseReport


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of one worker. `reserved`: the most that it may hold, None for what nobody knows.

    `alive`: it has reported since it registered. `sequence`: number of its newest message.
    """

    reserved: int | None = None
    used: int = 0
    draining: int = 0
    wanted: int = 0
    alive: bool = False
    sequence: int = 0

    @property
    def is_short(self) -> bool:
        """Whether it wants more, and will soon refuse writes."""
        return self.alive and self.wanted > (self.reserved or 0) and self.used >= (self.reserved or 0) * 3 // 4


def free_bytes(accounts: Mapping[int, Account], plan: MemoryPlan) -> int:
    """What may be granted beyond what is reserved: nothing while that is unknown of anybody."""
    reserved = [account.reserved for account in accounts.values()]
    if None in reserved:
        return 0
    return max(0, plan.buffer_bytes - sum(filter(None, reserved)))


def floor_of(accounts: Mapping[int, Account], plan: MemoryPlan) -> int:
    """The least for each worker: less than planned when workers were added."""
    return min(plan.lease_floor, plan.buffer_bytes // max(1, len(accounts)))


def fair_shares(accounts: Mapping[int, Account], plan: MemoryPlan) -> dict[int, int]:
    """Bytes for each worker that is alive, beside what is reserved for the others; by max-min fairness."""
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
    """The lease to answer a report with: less than is held asks the worker to shrink."""
    held = accounts[worker].reserved
    assert held is not None, "it has just reported"
    share = fair_shares(accounts, plan)[worker]
    return min(share, held + free_bytes(accounts, plan))


def drains_to_order(accounts: Mapping[int, Account], plan: MemoryPlan) -> dict[int, int]:
    """Bytes to drain by worker, the most where the most is to be gained, to help those who are short.

    None before all were heard: then who is short may soon have more.
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
    """The accounts of all workers of a store.

    Invariant, once all have reported and unless a worker has replayed more than it may buffer: the sum of `reserved` is
    at most MemoryPlan.buffer_bytes.
    """

    def __init__(self, plan: MemoryPlan, workers: Iterable[int]) -> None:
        self._plan = plan
        self.accounts = {worker: Account() for worker in workers}

    def joined(self, worker: int, sequence: int) -> None:
        """A process of the worker has registered with this message. Until it reports, all stays reserved.

        One that was added since this router started begins with nothing, as the worker knows from its plan.
        """
        account = self.accounts.get(worker, Account(reserved=0))
        self.accounts[worker] = replace(account, alive=False, sequence=sequence)

    def lost(self, worker: int) -> None:
        """The worker counts as down."""
        if worker in self.accounts:
            self.accounts[worker] = replace(self.accounts[worker], alive=False)

    def gone(self, worker: int) -> None:
        """The store has this worker no more."""
        self.accounts.pop(worker, None)

    def reported(self, worker: int, sequence: int, report: LeaseReport) -> Lease:
        """Take a report, answer with the lease. A report that is not newer than all before changes nothing."""
        if sequence <= self.accounts[worker].sequence:
            return Lease(report.lease, 0)
        account = Account(report.lease, report.used, report.draining, report.wanted, alive=True, sequence=sequence)
        self.accounts[worker] = account
        lease = lease_for(worker, self.accounts, self._plan)
        self.accounts[worker] = replace(account, reserved=max(report.lease, lease))
        return Lease(lease, drains_to_order(self.accounts, self._plan).get(worker, 0))

    @property
    def short(self) -> list[int]:
        """Workers that want more than there is for them, and will soon refuse writes."""
        return [worker for worker, account in self.accounts.items() if account.is_short]

    def figures(self) -> BudgetStats:
        """Plain values by name, in bytes."""
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
