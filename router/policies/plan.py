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
    """One change, and why, in one line.

    SPLIT   segments: the one; `at_key` begins the right child, which goes to `to_worker`; the left one stays
    MERGE   segments: two neighbours in key order; the child goes to `to_worker`
    MOVE    segments: the one, which goes to `to_worker`
    """

    kind: PlanKind
    segments: tuple[int, ...]
    to_worker: int
    reason: str
    at_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Unsplittable:
    """The verdict that the load of a range lies on one key, so that no split makes it less."""

    segment: int
    key: bytes
    reason: str
