"""What became of a write whose answer never came."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """How a write, or a part of it, ended."""

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    """It was not applied, and never will be."""
    UNKNOWN = "unknown"
    """Too long ago: its segment has forgotten the request, or its client."""
    PARTLY = "partly"
    """Only of a whole: some parts were applied, and some were not and never will be."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Answer to `outcome(token)`. `state` is that of the whole write, `unknown` as soon as that of one part is.

    `parts`: a key of each part that was in doubt, and what became of that part. A part is what the write had for one
    range of keys, at once; a write of one key is its only part.
    """

    state: Ending
    parts: tuple[tuple[bytes, Ending], ...]
