"""How long a writer pauses, by the pressure that the answer to its latest write told.

Below half of full nobody pauses. From there on a pause grows with the square of what is beyond, up to a pace of
FULL_BYTES_PER_SECOND for each client and range: so clients slow down smoothly before anything is refused, and the more
they write the sooner.

How many others write nobody tells. So who is refused nevertheless doubles its pauses, and shortens them again with each
write that is let in.
"""

from __future__ import annotations

from shardstore.limits import MIB, SECOND_NS

PRESSURE_MAX = 255
PRESSURE_FREE = 128
"""Up to here writers do not pause."""
FULL_BYTES_PER_SECOND = MIB
"""The pace of one client in one range at full pressure."""
ENTRY_BYTES = 200
"""About what an entry counts beside its key and value."""
PAUSE_NS_MAX = SECOND_NS
SLOWNESS_MAX = 256.0


def pause_ns(pressure: int, payload_bytes: int, entries: int, slowness: float = 1.0) -> int:
    """How long to pause after a write of this size."""
    beyond = pressure - PRESSURE_FREE
    if beyond <= 0:
        return 0
    full_ns = (payload_bytes + entries * ENTRY_BYTES) * SECOND_NS // FULL_BYTES_PER_SECOND
    pause = full_ns * beyond**2 // (PRESSURE_MAX - PRESSURE_FREE) ** 2
    return min(int(pause * slowness), PAUSE_NS_MAX)


def slowness_after(slowness: float, refused: bool) -> float:
    """By what to multiply pauses after one more write was refused or let in."""
    return min(slowness * 2, SLOWNESS_MAX) if refused else max(slowness * 0.97, 1.0)
