"""The documents of topology changes: a change, the router's orders, and the workers' progress.

Neighbouring parents become children over the same keys: a split (1 to 2 or more), a merge (2 to 1) or a move (1 to 1,
to another worker). Children are new segments, so a message for a parent cannot be mistaken for one to a child.

    router --CHANGE: OrderMessage--> every worker concerned      workers --PROGRESS: Progress--> router
    router --RETIRE: Retire--> former owners of parents

    PENDING       the change is durable in ROUTES; the routes are those of the children
    FENCED        the parents accept no more writes; all writes that they accepted are durable and applied
    ADOPTED       the children accept writes; data that they lack they read from the parents
    DRAINED       all data of the parents is in their files
    MATERIALISED  the children have manifests of their own, which name these files
    RETIRED       the change is no longer in ROUTES; the parents can be removed

Messages may be lost, repeated or late. So an order carries everything known about a change, and progress everything
done so far, and both are repeated until the router knows the next stage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shardstore.key_range import KeyRange


class ChangeKind(StrEnum):
    """The kinds of topology changes."""

    SPLIT = "split"
    MERGE = "merge"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Relative:
    """A parent or a child: its segment, keys and owner. `epoch` is that of a parent when the change was planned."""

    segment: int
    start: bytes
    end: bytes
    worker: int
    epoch: int = 0

    @property
    def key_range(self) -> KeyRange:
        """The keys from `start` to `end`."""
        return KeyRange(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Change:
    """One change. Parents and children are in key order and cover the same keys. Every change has a higher number."""

    number: int
    kind: str
    parents: tuple[Relative, ...]
    children: tuple[Relative, ...]

    @property
    def workers(self) -> set[int]:
        """The owners of parents and children."""
        return {each.worker for each in (*self.parents, *self.children)}

    @property
    def is_local(self) -> bool:
        """Whether one worker owns all parents and children."""
        return len(self.workers) == 1

    def parents_over(self, key_range: KeyRange) -> list[Relative]:
        """Return the parents that overlap the range."""
        return [parent for parent in self.parents if parent.key_range.intersection(key_range)]


@dataclass(frozen=True, slots=True)
class Order:
    """Router to worker: everything the router knows about a change.

    epochs      the children's epochs, by segment
    windows     the dedup window of each parent, once all are fenced
    drained     whether all parents are drained
    full_disk   what fails at the parents' owners because their disk is full; empty if nothing does
    clock_ms    the latest moment by which the parents' owners have judged what expires; 0: nothing does
    """

    change: Change
    epochs: dict[int, int]
    windows: dict[int, Any]
    drained: bool
    full_disk: str = ""
    clock_ms: int = 0


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """The document of CHANGE: an order, and the encoded Routes."""

    order: Order
    routes: bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """Worker to router: the segments of this worker that have reached each stage of a change.

    `fenced` maps a parent to its dedup window, or to None if no other worker needs the window. `clock_ms`: as in Order,
    with the windows.
    """

    change: int
    fenced: dict[int, Any] = field(default_factory=dict)
    adopted: list[int] = field(default_factory=list)
    drained: list[int] = field(default_factory=list)
    materialised: list[int] = field(default_factory=list)
    clock_ms: int = 0


@dataclass(frozen=True, slots=True)
class Retire:
    """Router to worker: the change is complete and these segments are not needed any more. `routes`: encoded Routes."""

    change: int
    segments: list[int]
    routes: bytes
