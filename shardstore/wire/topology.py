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

An operator may resolve a change that cannot go on (router/resolutions.py). It is completed without the parents that are
given up, of which only readable files are taken; or another change, of the same parents, takes its place, and discards
its children. Segments that are given up or discarded are *abandoned*. No child is adopted before no process has an
abandoned segment open: a worker that has one open stops, to be started again without it.

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


class Resolution(StrEnum):
    """How an operator resolves a change."""

    CANCEL = "cancel"
    """The parents get other children, each one of its own with the same keys. Those of the change are discarded."""
    COMPLETE = "complete"
    """The change goes on without what cannot be had of its parents."""


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
    """One change. Parents and children are in key order and cover the same keys. Every change has a higher number.

    resolution  a Resolution: how an operator resolved it, or the change whose place it takes; empty if nobody did
    instead_of  the number of that change; 0 for none
    given_up    parents that no worker opens any more: only what their files hold is taken
    discarded   the children of changes whose place it takes
    """

    number: int
    kind: str
    parents: tuple[Relative, ...]
    children: tuple[Relative, ...]
    resolution: str = ""
    instead_of: int = 0
    given_up: tuple[int, ...] = ()
    discarded: tuple[Relative, ...] = ()

    @property
    def workers(self) -> set[int]:
        """The owners of parents, children and discarded segments."""
        return {each.worker for each in (*self.parents, *self.children, *self.discarded)}

    @property
    def is_local(self) -> bool:
        """Whether one worker owns all parents and children."""
        return len({each.worker for each in (*self.parents, *self.children)}) == 1

    @property
    def kept_parents(self) -> list[Relative]:
        """The parents that are not given up."""
        return [parent for parent in self.parents if parent.segment not in self.given_up]

    @property
    def abandoned(self) -> list[Relative]:
        """The segments that no process may have open: parents that are given up, and discarded children."""
        return [*(parent for parent in self.parents if parent.segment in self.given_up), *self.discarded]

    def parents_over(self, key_range: KeyRange) -> list[Relative]:
        """Return the parents that overlap the range."""
        return [parent for parent in self.parents if parent.key_range.intersection(key_range)]


@dataclass(frozen=True, slots=True)
class Order:
    """Router to worker: everything the router knows about a change.

    epochs      the children's epochs, by segment
    windows     the dedup window of each parent, once all that are not given up are fenced
    drained     whether all parents are drained, except for those that are given up
    full_disk   what fails at the parents' owners because their disk is full; empty if nothing does
    clock_ms    the latest moment by which the parents' owners have judged what expires; 0: nothing does
    gone        the abandoned segments that certainly no process has open
    """

    change: Change
    epochs: dict[int, int]
    windows: dict[int, Any]
    drained: bool
    full_disk: str = ""
    clock_ms: int = 0
    gone: list[int] = field(default_factory=list)

    @property
    def is_settled(self) -> bool:
        """Whether no process has an abandoned segment open."""
        return all(each.segment in self.gone for each in self.change.abandoned)


@dataclass(frozen=True, slots=True)
class OrderMessage:
    """The document of CHANGE: an order, and the encoded Routes."""

    order: Order
    routes: bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """Worker to router: the segments of this worker that have reached each stage of a change.

    `fenced` maps a parent to its dedup window, or to None if no other worker needs the window. `clock_ms`: as in Order,
    with the windows. `dropped`: abandoned segments that this worker does not have open. `trouble` says for each segment
    what keeps it from going on. `entries` and `bytes`: what of each parent and child is in memory only.
    """

    change: int
    fenced: dict[int, Any] = field(default_factory=dict)
    adopted: list[int] = field(default_factory=list)
    drained: list[int] = field(default_factory=list)
    materialised: list[int] = field(default_factory=list)
    clock_ms: int = 0
    dropped: list[int] = field(default_factory=list)
    trouble: dict[int, str] = field(default_factory=dict)
    entries: dict[int, int] = field(default_factory=dict)
    bytes: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retire:
    """Router to worker: the change is complete and these segments are not needed any more. `routes`: encoded Routes."""

    change: int
    segments: list[int]
    routes: bytes
