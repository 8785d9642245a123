"""ADMIN: what an operator asks of the topology, and what was, or would be, done. See topology.py for the changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class AdminAction(StrEnum):
    """What is asked. `key` and `worker` of the request are for those that name them."""

    SPLIT = "split"
    """The range with `key` becomes two that meet there."""
    MERGE = "merge"
    """The range with `key` and its right neighbour become one."""
    MOVE = "move"
    """The range with `key` goes to `worker`."""
    REBALANCE = "rebalance"
    """Ranges go to other workers as the policies see fit."""
    RANGES = "ranges"
    """Tell of all ranges."""
    ADD_WORKER = "add_worker"
    """One worker more."""
    DRAIN_WORKER = "drain_worker"
    """`worker` gives all it owns to others, and ends."""


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """Client to router. `action`: an AdminAction. `dry_run`: only tell what would be done."""

    action: str
    key: bytes = b""
    worker: int = 0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One topology change. `at`: where the children of a split meet; `worker`: who gets the (right) child."""

    number: int
    kind: str
    parents: list[int]
    children: list[int]
    at: bytes
    worker: int
    reason: str


@dataclass(frozen=True, slots=True)
class RangeRow:
    """One range of the map. `ops`: keys a second; `state`: active, or how far the change is that made it."""

    start: bytes
    end: bytes
    segment: int
    worker: int
    epoch: int
    bytes: int
    ops: int
    state: str


@dataclass(frozen=True, slots=True)
class AdminReply:
    """Router to client: the changes that were made (or would be), the ranges asked for, the worker that was added."""

    changes: list[PlannedChange] = field(default_factory=list)
    ranges: list[RangeRow] = field(default_factory=list)
    worker: int = 0
