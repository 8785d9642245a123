"""How long a writer pauses, by the pressure that the answer to its latest write told.

Below half of full nobody pauses. From there on a pause grows with the square of what is beyond, up to a pace of
FULL_BYTES_PER_SECOND for each client and range: so clients slow down smoothly before anything is refused, and the more
they write the sooner.
"""

from __future__ import annotations

from shardstore.limits import MIB, SECOND_NS

PRESSURE_MAX = 255
PRESSURE_FREE = 128
"""Up to here writers do not pause."""
FULL_BYTES_PER_SECOND = MIB
"""The pace of one client in one range at full pressure."""
ENTRY_BYTES = 200
"""What an entry counts beside its key and value."""
PAUSE_NS_MAX = SECOND_NS


def pause_ns(pressure: int, payload_bytes: int, entries: int) -> int:
    """How long to pause after a write of this size."""
    beyond = pressure - PRESSURE_FREE
    if beyond <= 0:
        return 0
    full_ns = (payload_bytes + entries * ENTRY_BYTES) * SECOND_NS // FULL_BYTES_PER_SECOND
    return min(full_ns * beyond**2 // (PRESSURE_MAX - PRESSURE_FREE) ** 2, PAUSE_NS_MAX)
