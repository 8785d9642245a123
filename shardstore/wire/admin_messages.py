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
    """One change of ranges that was made or, in a dry run, would be made.

    Attributes:
        number: Its number among all changes of the store; 0 in a dry run.
        kind: "split", "merge" or "move".
        parents: The segments before it.
        children: The segments after it.
        at: The key at which a range is split; empty for another kind.
        worker: The worker that owns the last of the children.
        reason: Why it is made, in one line.
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
    """One range, with its owner, size and load.

    Attributes:
        start: Its first key; empty: no bound.
        end: The first key behind it; empty: no bound.
        segment: The number of its segment.
        worker: The number of the worker that owns it.
        epoch: A number that grows each time a worker is given the range.
        bytes: Bytes in its files and in memory, as reported within the last seconds.
        ops: Keys read and written per second, of late.
        state: "active", or the stage of the change of ranges that it is in.
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
