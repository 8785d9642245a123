"""What policies answer: changes that should be made, and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PlanKind(StrEnum):
    """The three changes of topology."""

    SPLIT = "split"
    MERGE = "merge"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Plan:
    """One change, and why, in one line. `workers`: who gets the children, in key order.

    SPLIT   segments: the one; all its children but the first begin at the `keys`
    MERGE   segments: two neighbours in key order, which become one child
    MOVE    segments: the one

    `for_load`: it was chosen by how busy the workers are.
    """

    kind: PlanKind
    segments: tuple[int, ...]
    workers: tuple[int, ...]
    reason: str
    keys: tuple[bytes, ...] = ()
    for_load: bool = False


@dataclass(frozen=True, slots=True)
class Unsplittable:
    """The verdict that the load of a range lies on one key, so that no split makes it less."""

    segment: int
    key: bytes
    reason: str
