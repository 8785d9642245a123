"""Topology changes as router and workers speak of them: what changes, what is ordered, how far it is.

Contiguous parents become children over the same keys: a split (1 to 2 or more), a merge (2 to 1) or a move (1 to 1,
another worker). Children are new segments, so no message for a parent can be taken for one to a child.

    router --CHANGE: Order--> every worker concerned      workers --PROGRESS: Progress--> router
    router --RETIRE: Retire--> former owners of parents

    PENDING       the change is in ROUTES, durably; the routes are those of the children
    FENCED        no parent accepts a write any more, and all that they accepted is durable and applied
    ADOPTED       the children accept writes; what they lack they read from the parents
    DRAINED       all that the parents hold is in their files
    MATERIALISED  the children refer to these files, in manifests of their own
    RETIRED       the change is out of ROUTES; the parents can go

Both messages may be lost, doubled or late: an order says all that is known of a change, progress all that was done, and
both are said again until the router knows the next stage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shardstore.key_range import KeyRange


class ChangeKind(StrEnum):
    """What a change does to its parents."""

    SPLIT = "split"
    MERGE = "merge"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Relative:
    """A parent or a child: its segment, its keys, its owner. `epoch`: of a parent, when the change was planned."""

    segment: int
    start: bytes
    end: bytes
    worker: int
    epoch: int = 0

    @property
    def key_range(self) -> KeyRange:
        """Its keys."""
        return KeyRange(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Change:
    """One change; parents and children in key order, over the same keys. Numbers only grow."""

    number: int
    kind: str
    parents: tuple[Relative, ...]
    children: tuple[Relative, ...]

    @property
    def workers(self) -> set[int]:
        """Every worker concerned."""
        return {each.worker for each in (*self.parents, *self.children)}

    @property
    def is_local(self) -> bool:
        """Whether one worker owns all parents and children."""
        return len(self.workers) == 1

    def parents_over(self, key_range: KeyRange) -> list[Relative]:
        """The parents that have keys of the range."""
        return [parent for parent in self.parents if parent.key_range.intersection(key_range)]


@dataclass(frozen=True, slots=True)
class Order:
    """Router to worker: what is known of a change.

    `epochs` of the children, by segment. `windows`: the dedup window of each parent, once all are fenced. `drained`:
    whether all parents are. `full_disk`: what fails for want of room where the parents are; empty if nothing does.
    """

    change: Change
    epochs: dict[int, int]
    windows: dict[int, Any]
    drained: bool
    full_disk: str = ""


@dataclass(frozen=True, slots=True)
class Orders:
    """Body of CHANGE: an order, and the encoded Routes."""

    order: Order
    routes: bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """Worker to router: how far a change is here. The fields name segments.

    `fenced`: by parent its dedup window, or None where no other worker needs it.
    """

    change: int
    fenced: dict[int, Any] = field(default_factory=dict)
    adopted: list[int] = field(default_factory=list)
    drained: list[int] = field(default_factory=list)
    materialised: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Retire:
    """Router to worker: the change is done, nobody needs these segments any more. `routes`: the encoded Routes."""

    change: int
    segments: list[int]
    routes: bytes
