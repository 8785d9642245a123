"""The documents of ADMIN: what an operator asks of the router, and what was done or, in a dry run, would be done.

    action         key                     worker          effect
    split          first key of the right  -               splits the range that has the key into two
    merge          any key of the left     -               merges that range and its right neighbour into one
    move           any key of the range    the new owner   moves the range to the worker
    rebalance      -                       -               moves ranges so that the load is spread
    ranges         -                       -               none: the reply lists all ranges
    keep_together  a prefix                -               lets no range begin within it from now on
    let_split      a prefix                -               undoes that
    add_worker     -                       -               adds a worker; the reply has its number
    drain_worker   -                       the worker      moves all its ranges to others, then ends the worker
    changes        -                       -               none: the reply lists the changes under way
    resolve        -                       -               resolves the `change`: `resolution` is one of topology.py

Fields that an action does not use are empty or 0. The reply to resolve is sent when what takes the place of the change
is complete; it says what may be lost. The reply to a change is sent when the change is complete, to a dry
run at once, and to add_worker when the worker's number is durable, before it serves. A worker that is drained goes on
leaving even if the operator stops waiting. Status INVALID says why something cannot be done, BUSY that a change of the
range is under way. keep_together and let_split are for the prefixes of spaces, and may be repeated. A retry of another
action, which repeats the sequence, starts nothing a second time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from shardstore.wire.wire_format import SENT_AS


class Action(StrEnum):
    """The actions of an AdminRequest."""

    SPLIT = "split"
    MERGE = "merge"
    MOVE = "move"
    REBALANCE = "rebalance"
    RANGES = "ranges"
    KEEP_TOGETHER = "keep_together"
    LET_SPLIT = "let_split"
    ADD_WORKER = "add_worker"
    DRAIN_WORKER = "drain_worker"
    CHANGES = "changes"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """A request for one action; see the table above."""

    action: str
    key: bytes = b""
    worker: int = 0
    dry_run: bool = False
    change: int = 0
    resolution: str = ""


@dataclass(frozen=True, slots=True)
class Loss:
    """What may be lost when a change is resolved: writes of one segment.

    Attributes:
        segment: The number of the segment.
        start: Its first key; empty: no bound.
        end: The first key behind it; empty: no bound.
        what: Which of its writes, in one line.
        is_counted: Whether the figures below are known; they are not if its worker is down.
        entries: Entries in memory, as reported within the last second.
        size_bytes: Their bytes.
    """

    segment: int
    start: bytes
    end: bytes
    what: str
    is_counted: bool = False
    entries: int = 0
    size_bytes: int = field(default=0, metadata={SENT_AS: "bytes"})


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
        size_bytes: Bytes in its files and in memory, as reported within the last seconds.
        operations_per_s: Keys read and written per second, over about the last ten seconds.
        stage: "active", or the stage of the change of ranges that it is in.
    """

    start: bytes
    end: bytes
    segment: int
    worker: int
    epoch: int
    size_bytes: int = field(metadata={SENT_AS: "bytes"})
    operations_per_s: int = field(metadata={SENT_AS: "ops"})
    stage: str = field(metadata={SENT_AS: "state"})


@dataclass(frozen=True, slots=True)
class PendingChange:
    """One change of ranges that is under way, and what it waits for.

    Attributes:
        number: Its number among all changes of the store.
        kind: "split", "merge" or "move".
        parents: The segments before it.
        children: The segments after it.
        stage: "pending", "fenced", "adopted", "drained" or "materialised", in this order.
        waits_for: What must happen before the next stage, one line each.
        reason: Why it is made; empty if an earlier router process began it.
        resolution: "cancel" or "complete" if an operator resolved it, or the change whose place it takes; else empty.
        may_lose: What the operator was told; empty if nothing is lost, or an earlier router process told it.
    """

    number: int
    kind: str
    parents: list[int]
    children: list[int]
    stage: str
    waits_for: list[str]
    reason: str
    resolution: str
    may_lose: list[Loss]


@dataclass(frozen=True, slots=True)
class AdminReply:
    """The result of an action: the changes made or planned, all ranges in key order, or the number of a new worker.

    `pending`: the changes under way. `losses`: what a resolution may lose.
    """

    changes: list[PlannedChange] = field(default_factory=list)
    ranges: list[RangeRow] = field(default_factory=list)
    worker: int = 0
    pending: list[PendingChange] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
