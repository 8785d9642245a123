"""The answers of a direct read that say that a worker must be asked."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, TypeAlias

from shardstore.wire.wire_format import Flag


class Ask(Enum):
    """Not a value and not None, which is the answer for an absent key. `flags`: those of the request to the worker."""

    def __init__(self, flags: int) -> None:
        self.flags = flags

    WORKER = 0
    """The range cannot be read here."""
    IN_MEMORY = Flag.IN_MEMORY
    """The range can be read here, but its worker may have a newer value of the key in memory."""


ASK: Final = Ask.WORKER
IN_MEMORY: Final = Ask.IN_MEMORY
InMemory: TypeAlias = Literal[Ask.IN_MEMORY]
