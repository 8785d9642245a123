"""The answer of a read that changes nothing, so that any thread may read at any time, where something must be changed.

Such reads are called `get_ready`. They read what is open and loaded, and leave all else to `get`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class NotReady(Enum):
    """Not a value and not None, which is the answer for an absent key."""

    NOT_READY = 0


NOT_READY: Final = NotReady.NOT_READY
