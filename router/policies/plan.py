"""The results of policies: plans of changes, and unsplittable ranges."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PlanKind(StrEnum):
    """The three kinds of topology change."""

    SPLIT = "split"
    MERGE = "merge"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Plan:
    """One planned change, with its reason in one line. `workers` get the children, in key order.

    SPLIT   one segment; its children begin at its start and at each of the `keys`
    MERGE   two neighbouring segments in key order, with one child
    MOVE    one segment, with one child

    `for_load`: the policy chose it to even out load, not bytes.
    """

    kind: PlanKind
    segments: tuple[int, ...]
    workers: tuple[int, ...]
    reason: str
    keys: tuple[bytes, ...] = ()
    for_load: bool = False


@dataclass(frozen=True, slots=True)
class Unsplittable:
    """A range whose load is on one key, so that no split can spread it."""

    segment: int
    key: bytes
    reason: str
