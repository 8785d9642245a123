"""The leases of workers: never more than the budget, and in the end what each worker wants."""

from __future__ import annotations

import pytest

from shardstore.memory_plan import derive
from shardstore.router.budget import Account, Budget, drains_to_order, fair_shares, free_bytes
from shardstore.wire.messages import Lease, LeaseReport

PLAN = derive(1_600, 3, lease_floor=100)
"""1,000 bytes to lease, at least 100 to each worker."""


def budget_of(*leases: int) -> Budget:
    """All workers have reported these leases, use half of them, and want no more."""
    budget = Budget(PLAN, range(PLAN.workers))
    for worker, lease in enumerate(leases):
        budget.renew_lease(worker, 1, LeaseReport(lease, lease // 2, 0, lease))
    return budget


def wants(budget: Budget, worker: int, sequence: int, wanted: int, used: int = 50, lease: int = 100) -> Lease:
    return budget.renew_lease(worker, sequence, LeaseReport(lease, used, 0, wanted))


def test_who_wants_more_gets_it_while_there_is_some() -> None:
    budget = budget_of(100, 100, 100)
    assert wants(budget, 0, 2, 500) == Lease(500, 0)
    assert wants(budget, 1, 2, 400).lease == 400
    assert wants(budget, 2, 2, 400).lease == 100, "nothing is left, but another worker will be asked to shrink"
    assert wants(budget, 0, 3, 500, lease=500).lease == 334


def test_nothing_is_granted_before_all_were_heard() -> None:
    budget = Budget(PLAN, range(PLAN.workers))
    assert wants(budget, 0, 1, 500).lease == 100
    assert wants(budget, 1, 1, 500, lease=250).lease == 250, "a worker that already has more keeps it"
    assert free_bytes(budget.accounts, PLAN) == 0
    assert wants(budget, 2, 1, 100).lease == 100
    assert wants(budget, 0, 2, 400).lease == 400


@pytest.mark.fault("B2")
def test_a_worker_that_is_down_keeps_what_it_had() -> None:
    budget = budget_of(700, 100, 100)
    budget.lose(0)
    assert wants(budget, 1, 2, 900).lease == 200
    budget.join(0, sequence=1)
    assert wants(budget, 1, 3, 900, lease=200).lease == 200, "its next process has not reported what it replayed"
    assert wants(budget, 0, 2, 100).lease == 100
    assert wants(budget, 1, 4, 900, lease=200).lease == 800


@pytest.mark.fault("B2")
def test_an_old_report_or_one_heard_twice_frees_nothing() -> None:
    budget = budget_of(100, 100, 100)
    assert wants(budget, 0, 5, 600).lease == 600
    for sequence in (5, 4):
        assert wants(budget, 0, sequence, 100).lease == 100, "the worker would ignore the reply to it"
    assert budget.accounts[0].reserved == 600
    assert wants(budget, 1, 2, 900).lease == 300


def test_idle_bytes_come_back_with_the_next_report() -> None:
    budget = budget_of(800, 100, 100)
    assert wants(budget, 1, 2, 600).lease == 100
    wants(budget, 0, 2, 100, lease=100)
    assert wants(budget, 1, 3, 600).lease == 600


def test_shares_are_fair_when_not_all_can_have_what_they_want() -> None:
    accounts = {worker: Account(100, 50, 0, wanted, alive=True) for worker, wanted in enumerate((200, 900, 700))}
    assert fair_shares(accounts, PLAN) == {0: 200, 1: 400, 2: 400}
    accounts[1] = Account(600, 50, 0, 900, alive=False)
    assert fair_shares(accounts, PLAN) == {0: 200, 2: 200}


def test_drains_are_ordered_where_the_most_is_to_be_gained_when_someone_is_short() -> None:
    accounts = {
        0: Account(100, 90, 80, 300, alive=True),
        1: Account(500, 400, 300, 500, alive=True),
        2: Account(400, 150, 0, 400, alive=True),
    }
    assert drains_to_order(accounts, PLAN) == {2: 150, 1: 50}
    accounts[0] = Account(100, 70, 0, 300, alive=True)
    assert drains_to_order(accounts, PLAN) == {}, "no worker is about to refuse writes"


def test_figures_tell_what_is_granted() -> None:
    budget = Budget(PLAN, range(PLAN.workers))
    wants(budget, 0, 1, 500)
    figures = budget.statistics()
    assert (figures["granted"], figures["used"], figures["free"], figures["unheard"]) == (100, 50, 0, 2)
