"""The clock by which the entries of a worker expire: the wall clock, but it never goes back.

It does not go back over restarts either: an entry that a reader has seen expire is never shown again. For that the log
holds a lease of the clock, a moment that it may reach. The clock is never ahead of what is on stable storage of these
moments, and the next process begins with the latest of them.

    wall clock     ----------------------------------->
    granted        |-----lease-----|
                            |-----lease-----|           logged once the rest of the one before is short
    log            CLOCK    CLOCK                        and in LOG, as log files are removed

A worker without entries that expire logs nothing. If a sync takes longer than a lease, the clock waits for it. A log
that is frozen takes no leases, so the clock goes on without them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from shardstore.identifiers import RequestId
from shardstore.seams.clock import WallClock
from shardstore.workers.wal.record_format import RecordKind
from shardstore.workers.wal.writer import WalWriter

LEASE_MS = 2_000
"""How far ahead of the clock a lease reaches: a restarted worker is ahead of the wall clock by up to so much."""
RENEWED_MS = 1_000
"""A lease is renewed when less than this is left."""
MOMENT_BYTES = 8
_OF_NOBODY = RequestId(0, 0)


class HybridClock:
    """The clock of one worker. `show` is told each moment before anything is judged by it.

    Invariant: what was ever returned by `now_ms` is granted, unless the log is frozen.
    """

    def __init__(self, wall: WallClock, granted_ms: int, begin_ms: int, show: Callable[[int], None]) -> None:
        """Begin at `begin_ms`, or later. `granted_ms`: up to where a lease reaches that is on stable storage."""
        self._wall = wall
        self._latest_ms = begin_ms
        self.granted_ms = max(granted_ms, begin_ms)
        self._shown_ms = 0
        self._show = show
        self.is_free = False
        """Whether the clock needs no lease."""
        self.is_inherited = False
        """Whether the clock of another worker was reached, so that entries are expected which expire."""
        self.logged: deque[tuple[int, int]] = deque()
        """LSN and end of each lease that is logged and not yet on stable storage."""
        self.now_ms()

    def reading_ms(self) -> int:
        """Return the moment from which lifetimes are counted, whether it is granted or not."""
        now_ms = self._wall.now_ms()
        self._latest_ms = max(self._latest_ms, now_ms)
        return self._latest_ms

    def now_ms(self) -> int:
        """Return the moment by which values expire."""
        now_ms = self.reading_ms()
        if now_ms > self.granted_ms and not self.is_free:
            now_ms = self.granted_ms
        if now_ms > self._shown_ms:
            self._shown_ms = now_ms
            self._show(now_ms)
        return now_ms

    def lease_wanted(self) -> int:
        """Return the end of the lease to log now; 0 if none is needed yet.

        It is counted from the wall clock: else each restart would put the clock ahead by another lease.
        """
        if self.is_free:
            return 0
        wall_ms, reading_ms = self._wall.now_ms(), self.reading_ms()
        reaches_ms = self.logged[-1][1] if self.logged else self.granted_ms
        is_short = reaches_ms < max(reading_ms, wall_ms + RENEWED_MS)
        return max(reading_ms, wall_ms + LEASE_MS) if is_short else 0

    def note_logged(self, lsn: int, end_ms: int) -> None:
        """Note that a lease up to this moment is in the log."""
        self.logged.append((lsn, end_ms))

    def grant(self, lsn: int) -> None:
        """Use the leases that are logged up to this LSN: they are on stable storage."""
        while self.logged and self.logged[0][0] <= lsn:
            self.granted_ms = max(self.granted_ms, self.logged.popleft()[1])

    def reach(self, moment_ms: int) -> None:
        """Be at this moment or later from now on: the former owner of entries has judged them by it."""
        self.is_inherited |= moment_ms > 0
        self._latest_ms = max(self._latest_ms, moment_ms)

    def has_reached(self, moment_ms: int) -> bool:
        """Whether the clock is at this moment or later, and stays so whatever happens."""
        return moment_ms <= min(self._latest_ms, self.granted_ms) or (self.is_free and moment_ms <= self._latest_ms)

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        assert self.is_free or self._shown_ms <= self.granted_ms, "the clock is ahead of its lease"


def log_lease(clock: HybridClock, wal: WalWriter, is_granted_at_once: bool) -> bool:
    """Log another lease if the clock needs one. Returns whether it does. Raises StorageFailure."""
    end_ms = clock.lease_wanted()
    if not end_ms:
        return False
    moment = end_ms.to_bytes(MOMENT_BYTES, "big")
    lsn = wal.append(RecordKind.CLOCK, 0, 0, 0, 0, _OF_NOBODY, moment, b"")
    clock.note_logged(lsn, end_ms)
    if is_granted_at_once:
        clock.grant(lsn)
    return True
