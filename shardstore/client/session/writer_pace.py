"""How long a writer pauses, depending on the pressure in the reply to its latest write.

Up to half of the maximum pressure there are no pauses. Above that they grow with the square of the excess. At the
maximum a client writes FULL_BYTES_PER_SECOND to a range. So clients slow down smoothly before anything is refused, and
those that write more slow down sooner.

A client does not know how many others write. So if a write is refused nevertheless, it doubles its pauses; each write
that is accepted under pressure shortens them again.
"""

from __future__ import annotations

from shardstore.limits import BUFFERED_ENTRY_BYTES, MIB, SECOND_NS

PRESSURE_MAX = 255
PRESSURE_FREE = 128
"""Up to this pressure writers do not pause."""
FULL_BYTES_PER_SECOND = MIB
"""The pace of one client in one range at full pressure."""
PAUSE_NS_MAX = SECOND_NS
SLOWNESS_MAX = 256.0


def writer_pause_ns(pressure: int, payload_bytes: int, entries: int, slowness: float = 1.0) -> int:
    """How long to pause after a write of this size."""
    beyond = pressure - PRESSURE_FREE
    if beyond <= 0:
        return 0
    full_ns = (payload_bytes + entries * BUFFERED_ENTRY_BYTES) * SECOND_NS // FULL_BYTES_PER_SECOND
    pause = full_ns * beyond**2 // (PRESSURE_MAX - PRESSURE_FREE) ** 2
    return min(int(pause * slowness), PAUSE_NS_MAX)


def slowness_after(slowness: float, refused: bool) -> float:
    """The factor for pauses after one more write was refused or accepted."""
    return min(slowness * 2, SLOWNESS_MAX) if refused else max(slowness * 0.97, 1.0)
