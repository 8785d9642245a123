"""The answer of a direct read that says that a worker must be asked."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Ask(Enum):
    """Not a value and not None, which is the answer for an absent key."""

    WORKER = 1


ASK: Final = Ask.WORKER
