"""The documents of ADMIN: what an operator asks of the router, and what was done or, in a dry run, would be done.

    action         key                        worker                what it does
    split          where the right one begins -                     two ranges instead of the one with the key
    merge          any of the left range      -                     one range instead of that and its right neighbour
    move           any of the range           who is to own it      the range with the key goes to the worker
    rebalance      -                          -                     moves that spread the load
    ranges         -                          -                     nothing: the answer has every range
    add_worker     -                          -                     a further worker; the answer has its number
    drain_worker   -                          who is to own nothing moves of all its ranges, then the worker ends

What an action does not use is empty or 0. A change is answered when it is wholly done, a dry run at once, and a new
worker when its number is durable, before it serves. A worker that leaves goes on leaving when nobody waits. INVALID
says why something cannot be done, BUSY that a change of such a range runs. A request that is repeated, under its
sequence, begins nothing twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Key: TypeAlias = bytes
"""Since `bytes` is a field of RangeRow."""


class Action(StrEnum):
    """What may be asked."""

    SPLIT = "split"
    MERGE = "merge"
    MOVE = "move"
    REBALANCE = "rebalance"
    RANGES = "ranges"
    ADD_WORKER = "add_worker"
    DRAIN_WORKER = "drain_worker"


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """One action; see the module."""

    action: str
    key: bytes = b""
    worker: int = 0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One change of ranges: the segments before and after it, and in one line why it is made.

    `number` names it among all changes, 0 in a dry run. `kind` is "split", "merge" or "move". `at` is the key that
    splits, empty in another kind. `worker` owns the last child.
    """

    number: int
    kind: str
    parents: list[int]
    children: list[int]
    at: bytes
    worker: int
    reason: str


@dataclass(frozen=True, slots=True)
class RangeRow:
    """One range: its keys [start, end), empty for unbounded, its owner, and its size and load.

    `bytes` are those stored and buffered, `ops` operations per second. `state` says whether the range is in a change.
    """

    start: Key
    end: Key
    segment: int
    worker: int
    epoch: int
    bytes: int
    ops: int
    state: str


@dataclass(frozen=True, slots=True)
class AdminReply:
    """What was done or would be: the changes, every range in key order (`ranges`), or the new worker (`add_worker`)."""

    changes: list[PlannedChange] = field(default_factory=list)
    ranges: list[RangeRow] = field(default_factory=list)
    worker: int = 0
