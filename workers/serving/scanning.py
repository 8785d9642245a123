"""Answers to SCAN, by the mode of the scan, and to END_SCAN.

Every page of a range brings a mark that the request for the next page takes back (little-endian):

    live             -
    snapshot         u32 epoch, u64 random       names an open scan, whose view is read; none with the last page
    full_isolation   u32 epoch, u64 random       names an open scan, which keeps writers away; none with the last page
    fail_fast        u32 epoch, u64 manifest version, u64 writes applied       the state of the range

The last page is the one that ends the range, or gives the scan all entries it still wanted. So a scan that one page
answers holds nothing. The mark of `fail_fast` must be the state of the range as long as the scan is there: nothing is
held for it, and END_SCAN looks at the mark once more.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from shardstore.effects import Send
from shardstore.errors import Busy, InvalidRequest, ScanInvalidated
from shardstore.identifiers import RequestId
from shardstore.limits import MILLISECOND_NS, SCAN_LEASE_NS
from shardstore.messages import ScanRequest
from shardstore.options import ScanMode
from shardstore.wire_format import Flag, Op
from shardstore.workers.load.meter import LoadMeter
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.range_view import RangeView
from shardstore.workers.serving.open_scans import OpenScan, OpenScans
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.requests import page_entries, scan_of, wanted_of
from shardstore.workers.serving.scan_page import NOTHING, ScanPage, scan_page
from shardstore.workers.serving.write_path import WritePath

SYNC_WAIT_NS = 2 * MILLISECOND_NS
"""When to ask again for a page that waits for writes to be synced."""
_STATE = struct.Struct("<IQQ")


class Scanning:
    """All scans of a worker."""

    def __init__(self, writes: WritePath, open_scans: OpenScans, load: LoadMeter) -> None:
        self._load = load
        self.open = open_scans
        self._writes = writes

    def page(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int) -> Send:
        """Answer a SCAN with one page. Raises InvalidRequest, ScanInvalidated, Busy, Corruption."""
        request = scan_of(frames)
        match request.mode:
            case ScanMode.LIVE:
                page, mark = _read(owned.view(), owned, request), b""
            case ScanMode.FAIL_FAST:
                mark = _checked_state(owned, request.mark)
                page = _read(owned.view(), owned, request)
            case _:
                page, mark = self._held_page(owned, asker, request, now_ns)
        payload_bytes = len(page.keys.frame) + len(page.values.frame)
        first = request.start or owned.key_range.start
        self._load.note(owned.segment_id, Op.SCAN, (first,), page.entries, payload_bytes)
        flags = (Flag.KEYS_FIXED if page.keys.fixed else 0) | (Flag.VALUES_FIXED if page.values.fixed else 0)
        body = (page.keys.frame, page.values.frame, page.resume, mark)
        return asker.accept(self._writes.pressure, body, flags, page.entries)

    def end(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes]) -> Send:
        """Answer an END_SCAN: hold nothing for the scan in this range. Raises InvalidRequest, ScanInvalidated."""
        request = scan_of(frames)
        if request.mode == ScanMode.FAIL_FAST:
            _checked_state(owned, request.mark)
        self.open.close_mark(request.mark, asker.header.client)
        return asker.accept(self._writes.pressure)

    def _held_page(self, owned: OwnedRange, asker: Asker, request: ScanRequest, now_ns: int) -> tuple[ScanPage, bytes]:
        """A page of a snapshot or an isolation, and its mark."""
        if not asker.header.client:
            raise InvalidRequest("a scan needs the client id that HELLO gives")
        scan = self._scan_of(owned, asker, request, now_ns)
        view = scan.pinned.view if scan and scan.pinned else owned.view()
        page = _read(view, owned, request)
        if not page.resume or (request.limit and page.entries == request.limit):
            if scan:
                self.open.close(scan)
            return page, b""
        if request.mode == ScanMode.SNAPSHOT:
            scan = scan or self.open.open_view(owned, asker, now_ns)
            scan.lease_end_ns = now_ns + SCAN_LEASE_NS
        else:
            scan = scan or self.open.open_isolation(owned, asker, now_ns)
            inherited = owned.inheritance.parents if owned.inheritance else ()
            if any(map(self._writes.has_waiting, (owned, *inherited))):
                raise Busy("writes before the scan wait for their sync", 1, 1, SYNC_WAIT_NS)
        return page, scan.mark

    def _scan_of(self, owned: OwnedRange, asker: Asker, request: ScanRequest, now_ns: int) -> OpenScan | None:
        """The open scan that the page belongs to; None when it is to be the first page of one."""
        client = asker.header.client
        before = None if request.mark else self.open.of_request(RequestId(client, asker.header.sequence))
        mark = before.mark if before else request.mark
        return self.open.of_mark(owned, mark, client, now_ns) if mark else None


def _read(view: RangeView, owned: OwnedRange, request: ScanRequest) -> ScanPage:
    wanted = wanted_of(request, owned.key_range)
    if wanted is None:
        return NOTHING
    return scan_page(view, wanted, request.reverse, request.keys_only, page_entries(request))


def _checked_state(owned: OwnedRange, mark: bytes) -> bytes:
    """The state of the range, which the mark must be unless it is empty. Raises ScanInvalidated."""
    if owned.fence_lsn is not None:
        raise ScanInvalidated(None, b"", "the range was split, merged or moved since its first page")
    state = _STATE.pack(owned.epoch, owned.version, owned.writes_seen)
    if mark not in (b"", state):
        raise ScanInvalidated(None, b"", "the range was written or published since its first page")
    return state
