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

Fields that an action does not use are empty or 0. The reply to a change is sent when the change is complete, to a dry
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


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """A request for one action; see the table above."""

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
class AdminReply:
    """The result of an action: the changes made or planned, all ranges in key order, or the number of a new worker."""

    changes: list[PlannedChange] = field(default_factory=list)
    ranges: list[RangeRow] = field(default_factory=list)
    worker: int = 0
