"""Scans for which the worker holds something between two pages: a view of a range, or the writers of a range.

    opened   by the first page in a range, unless it is the last one too
    closed   by the last page, by END_SCAN, when the client goes away, when the lease is over,
             and for the oldest view when the views hold too much that nobody else needs

Who asks for a page of a scan that was closed is told so (ScanInvalidated).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from shardstore.errors import Busy, ScanInvalidated
from shardstore.identifiers import RequestId
from shardstore.limits import (
    ISOLATION_LEASE_NS,
    MILLISECOND_NS,
    SCAN_LEASE_NS,
    SCANS_OPEN_MAX,
    SECOND_NS,
    VIEW_FILE_BYTES_MAX,
)
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.range_view import PinnedView
from shardstore.workers.serving.reply import Asker

RETRY_AFTER_NS = 20 * MILLISECOND_NS
_MARK = struct.Struct("<IQ")


@dataclass(slots=True, eq=False)
class OpenScan:
    """One scan in one range. `request` asked for its first page there; without a view it isolates the range."""

    mark: bytes
    request: RequestId
    link: str
    peer: bytes
    owned: OwnedRange
    pinned: PinnedView | None
    lease_end_ns: int


class Held(NamedTuple):
    """Bytes that nothing but open scans still needs: of former overlays, and of tables no manifest names."""

    memory_bytes: int
    file_bytes: int


class OpenScans:
    """All open scans of a worker, the oldest first.

    Invariants: at most SCANS_OPEN_MAX; a range has at most one that isolates it.
    """

    def __init__(self, view_bytes_max: int) -> None:
        self._view_bytes_max = view_bytes_max
        self._scans: dict[bytes, OpenScan] = {}
        self._number = 0
        self.invalidated = 0
        """Scans that were closed before their client wanted it."""

    def __len__(self) -> int:
        return len(self._scans)

    def of_mark(self, owned: OwnedRange, mark: bytes, now_ns: int) -> OpenScan:
        """The scan that goes on in this range. Raises ScanInvalidated."""
        scan = self._scans.get(mark)
        if scan is None or scan.owned is not owned:
            raise _invalid("its worker was started again, or has closed it for want of room or for its lease")
        if now_ns >= scan.lease_end_ns:
            self._invalidate(scan)
            lease_ns = SCAN_LEASE_NS if scan.pinned else ISOLATION_LEASE_NS
            raise _invalid(f"its lease of {lease_ns / SECOND_NS:g} s is over")
        return scan

    def of_request(self, request: RequestId) -> OpenScan | None:
        """The scan that was opened by the same request before, for a page that was lost or refused."""
        return next((scan for scan in self._scans.values() if scan.request == request), None)

    def open_view(self, owned: OwnedRange, asker: Asker, now_ns: int) -> OpenScan:
        """Pin the range as it is. Raises Busy, Corruption."""
        self._make_room(now_ns)
        scan = self._add(owned, asker, owned.pin(), now_ns + SCAN_LEASE_NS)
        self.shed()
        return scan

    def open_isolation(self, owned: OwnedRange, asker: Asker, now_ns: int) -> OpenScan:
        """Keep the writers of the range waiting. Raises Busy."""
        self._make_room(now_ns)
        if owned.fence_wanted:
            raise Busy("the range is about to be split, merged or moved", 1, 1, RETRY_AFTER_NS)
        if any(scan.owned is owned and scan.pinned is None for scan in self._scans.values()):
            self.expire(now_ns)
            if owned.isolated_until_ns:
                raise Busy("another scan isolates the range", 1, 1, RETRY_AFTER_NS)
        owned.isolated_until_ns = now_ns + ISOLATION_LEASE_NS
        return self._add(owned, asker, None, owned.isolated_until_ns)

    def has_scans_of(self, owned: OwnedRange) -> bool:
        """Whether an open scan reads the range."""
        return any(scan.owned is owned for scan in self._scans.values())

    def close(self, scan: OpenScan) -> None:
        """Hold nothing for it any more."""
        del self._scans[scan.mark]
        if scan.pinned is not None:
            scan.pinned.release()
        else:
            scan.owned.isolated_until_ns = 0

    def close_mark(self, mark: bytes) -> None:
        """Close the scan of this mark, if it is open."""
        if scan := self._scans.get(mark):
            self.close(scan)

    def close_all_of(self, link: str, peer: bytes) -> None:
        """A client has gone away."""
        for scan in [scan for scan in self._scans.values() if scan.peer == peer and scan.link == link]:
            self.close(scan)

    def expire(self, now_ns: int) -> None:
        """Close what asked for no page for too long."""
        for scan in [scan for scan in self._scans.values() if now_ns >= scan.lease_end_ns]:
            self._invalidate(scan)

    def shed(self) -> None:
        """Close the oldest views while all views together hold too much that nothing else needs."""
        while self._scans:
            held = self.held()
            if held.memory_bytes <= self._view_bytes_max and held.file_bytes <= VIEW_FILE_BYTES_MAX:
                return
            self._invalidate(next(scan for scan in self._scans.values() if scan.pinned))

    def held(self) -> Held:
        """What only the open scans still need; what several of them do is counted once."""
        layers: dict[ActiveLayer, int] = {}
        files: dict[tuple[int, int], int] = {}
        for scan in self._scans.values():
            if scan.pinned is None:
                continue
            owned = scan.owned
            buffered = {owned.overlay.active, *(run.layer for run in owned.overlay.runs)}
            layers |= {held.layer: held.layer.size_bytes for held in scan.pinned.buffered if held.layer not in buffered}
            served = {(segment, record.number) for segment, record in owned.tables}
            for segment, record in scan.pinned.tables:
                if (segment, record.number) not in served:
                    files[segment, record.number] = record.file_bytes
        return Held(sum(layers.values()), sum(files.values()))

    def _add(self, owned: OwnedRange, asker: Asker, pinned: PinnedView | None, lease_end_ns: int) -> OpenScan:
        self._number += 1
        mark = _MARK.pack(owned.epoch, self._number)  # epochs only grow: no other process makes the same one
        request = RequestId(asker.header.client, asker.header.sequence)
        scan = self._scans[mark] = OpenScan(mark, request, asker.link, asker.peer, owned, pinned, lease_end_ns)
        return scan

    def _make_room(self, now_ns: int) -> None:
        if len(self._scans) >= SCANS_OPEN_MAX:
            self.expire(now_ns)
        if len(self._scans) >= SCANS_OPEN_MAX:
            raise Busy("too many open scans", len(self._scans), SCANS_OPEN_MAX, RETRY_AFTER_NS)

    def _invalidate(self, scan: OpenScan) -> None:
        self.invalidated += 1
        self.close(scan)


def _invalid(cause: str) -> ScanInvalidated:
    return ScanInvalidated(None, b"", cause)
