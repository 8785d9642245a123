"""What a worker promises of topology changes is checked: the check finds each promise that is broken by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.role import FENCED, WAITING
from shardstore.workers.topology.local_changes import LocalChanges
from tests.unit.topology_driver import TopologyDriver

CHANGE, PARENT, ORDINARY = 1, 1, 2
"""The number of the change, the segment that it splits, and another segment."""


@pytest.fixture
def changes() -> LocalChanges:
    """A local split: its parent is fenced and not drained yet, its children are adopted."""
    cluster = TopologyDriver(workers=1)
    cluster.put({b"a": b"1"})
    cluster.split(b"m")
    while cluster.workers[0].inbox:
        cluster.deliver_to_worker(0)
    return cluster.workers[0].core._changes


def take_part_without_order(changes: LocalChanges) -> None:
    changes._ranges[ORDINARY].role = WAITING


BREAKS: dict[str, Callable[[LocalChanges], object]] = {
    "an order is found as another": lambda changes: changes.orders.update({9: changes.orders.pop(CHANGE)}),
    "progress of no order is kept": lambda changes: changes._reported.update({9: changes._reported[CHANGE]}),
    "a dedup window is kept for no child": lambda changes: changes._carried.update({99: DedupWindow()}),
    "a child that waits is the child of no order": take_part_without_order,
    "the dedup window of an adopted child is lost": lambda changes: changes._carried.clear(),
    "a fenced parent is the parent of no order": lambda changes: setattr(changes._ranges[ORDINARY], "role", FENCED),
    "a range is served and retired": lambda changes: changes.former.update({PARENT: changes._ranges[PARENT]}),
    "a range was retired before it was final": lambda changes: changes.former.update({99: changes._ranges[ORDINARY]}),
}
"""What breaks a promise, by the words with which the check fails."""


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_found(changes: LocalChanges, what: str) -> None:
    changes.check_invariants()
    BREAKS[what](changes)
    with pytest.raises(AssertionError, match=what):
        changes.check_invariants()
