"""How fast drains free memory, and so when a refused writer should come back.

Writers that are refused while nothing is free get different times. Each is told to wait until the running drain should
have ended, and until drains should have freed room for it and for all writers refused before it. So writers find room
when they come back, and do not all come at once.
"""

from __future__ import annotations

from shardstore.limits import MILLISECOND_NS, SECOND_NS

RETRY_UNMEASURED_NS = 50 * MILLISECOND_NS
RETRY_NS_MIN = 5 * MILLISECOND_NS
RETRY_NS_MAX = 2 * SECOND_NS


class DrainRate:
    """Measures drains. `bytes_per_second` is 0 until a drain has ended."""

    def __init__(self) -> None:
        self.bytes_per_second = 0
        self._since_ns = 0
        self._room_ns = 0
        self._promised_ns = 0

    def begun(self, size_bytes: int, now_ns: int) -> None:
        """Note that a drain of these bytes has begun. It is timed from the end of the last, unless `idle` came."""
        self._since_ns = self._since_ns or now_ns
        self._room_ns = now_ns + self._duration_ns(size_bytes)

    def idle(self) -> None:
        """Note that no job is due: the time until the next drain says nothing about the speed of drains."""
        self._since_ns = 0

    def ended(self, freed_bytes: int, now_ns: int) -> None:
        """Note that the drain has freed these bytes."""
        duration_ns = max(1, now_ns - self._since_ns)
        rate = freed_bytes * SECOND_NS // duration_ns
        self.bytes_per_second = (3 * self.bytes_per_second + rate) // 4 if self.bytes_per_second else rate
        self._since_ns = now_ns
        self._room_ns = 0

    def failed(self) -> None:
        """Note that the drain has freed nothing."""
        self._since_ns = self._room_ns = 0

    def retry_after_ns(self, wanted_bytes: int, now_ns: int) -> int:
        """How long a writer of this many bytes should wait, behind the writers that were refused before."""
        if not self.bytes_per_second:
            return RETRY_UNMEASURED_NS
        first_ns = max(now_ns, self._promised_ns, self._room_ns)
        retry_ns = first_ns + self._duration_ns(wanted_bytes)
        self._promised_ns = min(retry_ns, now_ns + RETRY_NS_MAX)
        return max(RETRY_NS_MIN, self._promised_ns - now_ns)

    def _duration_ns(self, size_bytes: int) -> int:
        return size_bytes * SECOND_NS // self.bytes_per_second if self.bytes_per_second else 0
