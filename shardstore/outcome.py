"""The outcome of a write whose reply was lost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """How a write, or a part of it, ended."""

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    """None of it was applied, and none ever will be."""
    UNKNOWN = "unknown"
    """Nobody can tell: its segment no longer remembers the request or its client, or ranges were split and merged."""
    PARTLY = "partly"
    """Some parts were applied; the others were not, and never will be. Never the ending of a single part."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `outcome(token)` returns.

    A client sends a write of many keys in parts, each for one range. A write of one key is one part.

    Attributes:
        state: How the whole write ended; "unknown" if that is so of one part.
        parts: Of each part that was in doubt: one of its keys, and how the part ended.
    """

    state: Ending
    parts: tuple[tuple[bytes, Ending], ...]
