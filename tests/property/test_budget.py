"""The buffer budget between a router and crashing workers, over links that delay, lose and repeat messages.

Always: all leases together are at most the budget, whatever is under way. In the end, without more faults: every
worker has what it wants, if there is enough for all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shardstore.memory_plan import derive
from shardstore.router.budget import Budget
from shardstore.wire.messages import Lease, LeaseReport
from shardstore.workers.serving.buffer_lease import BufferLease

WORKERS = 3
PLAN = derive(16_000, WORKERS, lease_floor=1_000)


@dataclass
class Process:
    """One process of a worker. `router`: the router's life it knows, `awaited`: the report whose reply counts."""

    lease: BufferLease
    used: int
    router: int = 0
    sequence: int = 0
    awaited: int = 0
    reports: list[tuple[int, int, LeaseReport]] = field(default_factory=list)
    answers: list[tuple[int, int, Lease]] = field(default_factory=list)


class BudgetMachine(RuleBasedStateMachine):
    """The system. Messages of a worker's process stay in `reports` and `answers` until they are taken or lost."""

    def __init__(self) -> None:
        super().__init__()
        self.life = 1
        self.budget = Budget(PLAN, range(WORKERS))
        self.processes = [Process(BufferLease(PLAN, 0), 0) for _ in range(WORKERS)]

    @rule(worker=st.integers(0, WORKERS - 1), more=st.integers(0, 9_000))
    def write(self, worker: int, more: int) -> None:
        process = self.processes[worker]
        process.used = min(process.used + more, process.lease.bytes)

    @rule(worker=st.integers(0, WORKERS - 1), left=st.integers(0, 9_000))
    def drain(self, worker: int, left: int) -> None:
        process = self.processes[worker]
        process.used = min(process.used, left)

    @rule(worker=st.integers(0, WORKERS - 1), time_passes=st.booleans())
    def report(self, worker: int, time_passes: bool) -> None:
        process = self.processes[worker]
        process.sequence += 1
        if process.router != self.life:  # refused by the router, which does not know it, so it registers
            process.router, process.awaited = self.life, 0
            self.budget.join(worker, process.sequence)
            return
        if time_passes:
            process.lease.pass_time()
        report = process.lease.report(process.used, 0, 0)
        process.awaited = process.sequence
        process.reports.append((self.life, process.sequence, report))

    @rule(worker=st.integers(0, WORKERS - 1), which=st.integers(0, 5), again=st.booleans())
    def report_arrives(self, worker: int, which: int, again: bool) -> None:
        process = self.processes[worker]
        if which < len(process.reports):
            life, sequence, report = process.reports[which] if again else process.reports.pop(which)
            if life == self.life:
                process.answers.append((life, sequence, self.budget.renew_lease(worker, sequence, report)))

    @rule(worker=st.integers(0, WORKERS - 1), which=st.integers(0, 5), again=st.booleans())
    def answer_arrives(self, worker: int, which: int, again: bool) -> None:
        process = self.processes[worker]
        if which < len(process.answers):
            life, sequence, lease = process.answers[which] if again else process.answers.pop(which)
            if sequence == process.awaited and life == process.router:
                process.awaited = 0
                process.lease.take(lease, process.used)

    @rule(worker=st.integers(0, WORKERS - 1))
    def lose_messages(self, worker: int) -> None:
        self.processes[worker].reports.clear()
        self.processes[worker].answers.clear()

    @rule(worker=st.integers(0, WORKERS - 1), replayed=st.integers(0, 10))
    def worker_crashes(self, worker: int, replayed: int) -> None:
        used = self.processes[worker].used * replayed // 10
        self.processes[worker] = Process(BufferLease(PLAN, used), used)
        self.budget.lose(worker)

    @rule(worker=st.integers(0, WORKERS - 1))
    def worker_is_silent(self, worker: int) -> None:
        self.budget.lose(worker)
        self.processes[worker].router = 0

    @rule()
    def router_crashes(self) -> None:
        self.life += 1
        self.budget = Budget(PLAN, range(WORKERS))

    @invariant()
    def leases_are_within_the_budget(self) -> None:
        assert sum(process.lease.bytes for process in self.processes) <= PLAN.buffer_bytes
        assert all(process.used <= process.lease.bytes for process in self.processes)

    @invariant()
    def what_is_held_is_reserved(self) -> None:
        for process, account in zip(self.processes, self.budget.accounts.values(), strict=True):
            assert account.reserved is None or process.lease.bytes <= account.reserved

    def teardown(self) -> None:
        """After the last fault, one worker wants the maximum, and the others nothing."""
        for worker, process in enumerate(self.processes):
            self.drain(worker, 0)
            process.reports.clear()
            process.answers.clear()
        for _ in range(60):
            for worker in range(WORKERS):
                self.report(worker, True)
                self.report_arrives(worker, 0, False)
                self.answer_arrives(worker, 0, False)
                self.leases_are_within_the_budget()
            self.processes[0].used = max(self.processes[0].used, self.processes[0].lease.bytes * 3 // 4)
        wanting, *idle = [process.lease for process in self.processes]
        assert wanting.bytes == PLAN.buffer_bytes - sum(lease.bytes for lease in idle)
        assert all(lease.bytes == lease.wanted for lease in idle)


TestBudget = BudgetMachine.TestCase
TestBudget.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
