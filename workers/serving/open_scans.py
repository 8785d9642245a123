"""Scans that hold something between two pages: a view of a range, or the isolation of a range, which keeps writers out.

    opened   by the first page in a range, unless that is also the last
    closed   by the last page, by END_SCAN, when a client with a direct link goes away, or when an isolation times out;
             a view whose client asks for no more pages is closed after its idle timeout if its place or what it holds
             is needed, and SCAN_ABANDONED_NS later in any case

A request for a page of a closed scan is refused with the reason (ScanInvalidated). The cursor that names a scan is
random, and valid only for the client that opened the scan.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from shardstore.errors import Busy, ScanInvalidated
from shardstore.identifiers import RequestId
from shardstore.limits import (
    GIB,
    ISOLATION_NS_MAX,
    MIB,
    MILLISECOND_NS,
    SCAN_ABANDONED_NS,
    SCAN_IDLE_NS,
    SECOND_NS,
    VIEW_FILE_BYTES_MAX,
)
from shardstore.memory_plan import MemoryPlan
from shardstore.seams.entropy import Entropy
from shardstore.workers.overlay.pin import Pin
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.range_view import PinnedView
from shardstore.workers.ranges.role import FENCE_WANTED
from shardstore.workers.serving.pages_ahead import PagesAhead
from shardstore.workers.serving.reply import Asker

SCAN_RETRY_NS = 20 * MILLISECOND_NS
NO_RETRY_NS = 0
"""For refusals that waiting alone does not end."""
ENDED_KNOWN = 1_024
"""Number of closed scans whose reason is remembered."""
_CURSOR = struct.Struct("<IQ")


@dataclass(slots=True, eq=False)
class OpenScan:
    """One scan in one range. `request` asked for its first page there. A scan without a view isolates the range.

    `clock_ms`: when it began, by the clock of the worker: it shows what had not expired then.
    """

    cursor: bytes
    request: RequestId
    link: str
    peer: bytes
    owned: OwnedRange
    pinned: PinnedView | None
    keep_until_ns: int
    clock_ms: int


class HeldByScans(NamedTuple):
    """Bytes that only open scans still need: of former overlays, and of tables that no manifest names."""

    memory_bytes: int
    file_bytes: int


class OpenScans:
    """All open scans of a worker, the oldest first.

    Invariants: there are at most `scans_max` of the plan; at most one scan isolates a range; `_by_request` holds the
    same scans; `_pins` counts what their views have pinned; only pages of views are read ahead.
    """

    def __init__(self, plan: MemoryPlan, entropy: Entropy) -> None:
        self._scans_max = plan.scans_max
        self._view_bytes_max = plan.view_bytes
        self._entropy = entropy
        self._scans: dict[bytes, OpenScan] = {}
        self._by_request: dict[RequestId, OpenScan] = {}
        self._pins: Counter[Pin] = Counter()
        """What the views have pinned, and how many views pin each."""
        self._ended: OrderedDict[bytes, str] = OrderedDict()
        self.ahead = PagesAhead(plan.view_bytes)
        self.invalidated = 0
        """Number of scans that were closed before their client wanted it."""

    def __len__(self) -> int:
        return len(self._scans)

    def of_cursor(self, owned: OwnedRange, cursor: bytes, client: int, now_ns: int) -> OpenScan:
        """The scan of this client and cursor in this range. Raises ScanInvalidated."""
        scan = self._scans.get(cursor)
        if scan is None:
            raise _invalid(self._why_ended(cursor))
        if scan.owned is not owned or scan.request.client != client:
            raise _invalid("it is a scan of another range, or of another client")
        if scan.pinned is None and now_ns >= scan.keep_until_ns:
            self._invalidate(scan, _TIME_OVER)
            raise _invalid(_TIME_OVER)
        return scan

    def seen_by(self, cursor: bytes) -> tuple[OwnedRange, PinnedView]:
        """The range and the view of the open scan with this cursor. The scan must have a view."""
        scan = self._scans[cursor]
        assert scan.pinned is not None, "an isolation is not read ahead"
        return scan.owned, scan.pinned

    def of_request(self, request: RequestId) -> OpenScan | None:
        """The scan that an earlier try of the request opened: its page was lost or refused. None if there is none."""
        return self._by_request.get(request)

    def open_view(self, owned: OwnedRange, asker: Asker, pinned: PinnedView, now_ns: int) -> OpenScan:
        """Open a scan of the pinned view, which its end releases. Raises Busy; then the view is released at once."""
        try:
            self._make_room(now_ns)
            self._check_memory(now_ns)
        except Busy:
            pinned.release()
            raise
        return self._add(owned, asker, pinned, now_ns + SCAN_IDLE_NS, pinned.now_ms)

    def open_isolation(self, owned: OwnedRange, asker: Asker, now_ns: int, clock_ms: int) -> OpenScan:
        """Open a scan, begun at this moment, that keeps the writers of the range waiting. Raises Busy."""
        self._make_room(now_ns)
        if owned.role is FENCE_WANTED:
            raise Busy("the range is about to be split, merged or moved", 1, 1, SCAN_RETRY_NS)
        if any(scan.owned is owned and scan.pinned is None for scan in self._scans.values()):
            self.expire(now_ns)
            if owned.isolated_until_ns:
                raise Busy("another scan isolates the range", 1, 1, SCAN_RETRY_NS)
        owned.isolate(now_ns + ISOLATION_NS_MAX)
        return self._add(owned, asker, None, owned.isolated_until_ns, clock_ms)

    def has_scans_of(self, owned: OwnedRange) -> bool:
        """Whether an open scan reads the range."""
        return any(scan.owned is owned for scan in self._scans.values())

    @property
    def memory_bytes(self) -> int:
        """Memory that open scans take: former overlays that nothing else needs, and pages that were read ahead."""
        return self._memory_held() + self.ahead.size_bytes

    def in_use(self, now_ns: int) -> int:
        """Number of scans that are open and not overdue."""
        return sum([now_ns < scan.keep_until_ns for scan in self._scans.values()])

    def close(self, scan: OpenScan, why: str = "its last page was answered") -> None:
        """Close the scan and release what it holds."""
        del self._scans[scan.cursor]
        self._by_request.pop(scan.request, None)
        self.ahead.forget(scan.cursor)
        self._ended[scan.cursor] = why
        if len(self._ended) > ENDED_KNOWN:
            self._ended.popitem(last=False)
        if scan.pinned is not None:
            self._pins -= Counter(scan.pinned.pins)
            scan.pinned.release()
        else:
            scan.owned.end_isolation()

    def close_named(self, cursor: bytes, client: int) -> None:
        """Close the scan with this cursor, if this client has it open."""
        scan = self._scans.get(cursor)
        if scan is not None and scan.request.client == client:
            self.close(scan, "its client has ended it")

    def close_all_of(self, link: str, peer: bytes) -> None:
        """Close all scans of a client that has gone away."""
        for scan in [scan for scan in self._scans.values() if scan.peer == peer and scan.link == link]:
            self.close(scan, "the connection of its client was closed")

    def pass_time(self, now_ns: int) -> None:
        """Close scans that have timed out, are abandoned, or hold too much."""
        self.expire(now_ns)
        self.shed(now_ns)

    def expire(self, now_ns: int) -> None:
        """Close isolations that have timed out, and views that are abandoned."""
        for scan in [scan for scan in self._scans.values() if now_ns >= scan.keep_until_ns]:
            if scan.pinned is None:
                self._invalidate(scan, _TIME_OVER)
            elif now_ns >= scan.keep_until_ns + SCAN_ABANDONED_NS:
                self._invalidate(scan, _ABANDONED)

    def shed(self, now_ns: int) -> None:
        """Close views until what only views still need is within bounds: first those that are overdue, then the oldest.

        Views hold too much memory only if the maintenance process died before it could report what it had drained.
        """
        if why := self._excess():
            self._close_overdue(now_ns)
        while why := self._excess():
            self._invalidate(next(scan for scan in self._scans.values() if scan.pinned), why)

    def _excess(self) -> str:
        """What the views hold too much of, in words; empty if nothing."""
        held = self.held() if self._pins else HeldByScans(0, 0)
        if held.file_bytes > VIEW_FILE_BYTES_MAX:
            return (
                f"open scans held {held.file_bytes / GIB:,.1f} GiB of files that nothing else needs; it was the oldest"
            )
        if held.memory_bytes > 2 * self._view_bytes_max:
            return f"open scans held {held.memory_bytes / MIB:,.0f} MiB that a drain could not free; it was the oldest"
        return ""

    def held(self) -> HeldByScans:
        """What only the open scans still need. What several of them need is counted once."""
        files: dict[tuple[int, int], int] = {}
        served: dict[int, set[tuple[int, int]]] = {}
        for scan in {scan.pinned.moment: scan for scan in self._scans.values() if scan.pinned}.values():
            owned = scan.owned
            if owned.segment_id not in served:
                served[owned.segment_id] = {(segment, record.number) for segment, record in owned.tables}
            for pinned in scan.pinned.ranges if scan.pinned else ():
                for segment, record in pinned.tables():
                    if (segment, record.number) not in served[owned.segment_id]:
                        files[segment, record.number] = record.file_bytes
        return HeldByScans(self._memory_held(), sum(files.values()))

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class, or of the pages ahead, does not hold."""
        scans = self._scans.values()
        views = {scan.cursor: scan.pinned for scan in scans if scan.pinned is not None}
        isolated = [scan.owned.segment_id for scan in scans if scan.pinned is None]
        pins = [pin for view in views.values() for pin in view.pins]
        assert len(scans) <= self._scans_max, "too many scans are open"
        assert len(set(isolated)) == len(isolated), "two scans isolate a range"
        assert self._by_request == {scan.request: scan for scan in scans}, "a scan is not found by its request"
        assert len(self._by_request) == len(scans), "two scans are of one request"
        assert dict(self._pins) == {pin: pins.count(pin) for pin in pins}, "pins are miscounted"
        assert self.ahead.cursors <= views.keys(), "pages are read ahead for a scan that has no view"
        self.ahead.check_invariants()

    def _memory_held(self) -> int:
        layers = {layer: layer.size_bytes for pin in self._pins for layer in pin.held_alone()}
        return sum(layers.values())

    def _add(
        self, owned: OwnedRange, asker: Asker, pinned: PinnedView | None, keep_until_ns: int, clock_ms: int
    ) -> OpenScan:
        cursor = _CURSOR.pack(owned.epoch, self._entropy.below(2**64))
        request = RequestId(asker.header.client, asker.header.sequence)
        place = cursor, request, asker.link, asker.peer
        scan = self._scans[cursor] = OpenScan(*place, owned, pinned, keep_until_ns, clock_ms)
        self._by_request[request] = scan
        self._pins.update(pinned.pins if pinned else ())
        return scan

    def _make_room(self, now_ns: int) -> None:
        if len(self._scans) >= self._scans_max:
            self._close_overdue(now_ns)
        if len(self._scans) >= self._scans_max:
            cause = "too many open scans: close some, or give the store more memory"
            raise Busy(cause, len(self._scans), self._scans_max, NO_RETRY_NS)

    def _check_memory(self, now_ns: int) -> None:
        """Raise Busy if the open scans hold more memory than they may, after overdue ones were closed."""
        if self._memory_held() > self._view_bytes_max:
            self._close_overdue(now_ns)
        held_bytes = self._memory_held()
        if held_bytes > self._view_bytes_max:
            cause = "open scans hold too much memory: close some, or give the store more"
            raise Busy(cause, held_bytes, self._view_bytes_max, NO_RETRY_NS)

    def _close_overdue(self, now_ns: int) -> None:
        for scan in [scan for scan in self._scans.values() if now_ns >= scan.keep_until_ns]:
            self._invalidate(scan, _OVERDUE if scan.pinned else _TIME_OVER)

    def _invalidate(self, scan: OpenScan, why: str) -> None:
        self.invalidated += 1
        self.close(scan, why)

    def _why_ended(self, cursor: bytes) -> str:
        return self._ended.get(cursor, "it is not known to its worker, which was started again or has forgotten it")


_TIME_OVER = f"it has kept the writers of the range waiting for {ISOLATION_NS_MAX / SECOND_NS:g} s, the limit"
_OVERDUE = f"no page of it was asked for within {SCAN_IDLE_NS / SECOND_NS:g} s, and its room was needed"
_ABANDONED = f"no page of it was asked for within {(SCAN_IDLE_NS + SCAN_ABANDONED_NS) / SECOND_NS:g} s"


def _invalid(cause: str) -> ScanInvalidated:
    return ScanInvalidated(None, b"", cause)
