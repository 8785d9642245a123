"""The outcome of a write whose reply was lost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """How a write, or a part of it, ended."""

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    """It was not applied, and never will be."""
    UNKNOWN = "unknown"
    """It is too long ago: its segment does not remember the request, or its client, any more."""
    PARTLY = "partly"
    """Some parts were applied; the others were not, and never will be. Never the ending of a single part."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of `outcome(token)`. `state` is the ending of the whole write; unknown if that of any part is unknown.

    `parts` has, for each part that was in doubt, one of its keys and its ending. A part is the share of the write that
    went to one range in one request; a write of one key has a single part.
    """

    state: Ending
    parts: tuple[tuple[bytes, Ending], ...]
