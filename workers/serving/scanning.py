"""Answers to SCAN, by the mode of the scan, and to END_SCAN.

Every page of a range brings a mark that the request for the next page takes back (little-endian):

    live             -
    snapshot         u32 epoch, u64 random       names an open scan, whose view is read; none with the last page
    full_isolation   u32 epoch, u64 random       names an open scan, which keeps writers away; none with the last page
    fail_fast        u32 epoch, u64 manifest version, u64 writes applied       the state of the range

The last page is the one that ends the range, or gives the scan all entries it still wanted. So a scan that one page
answers holds nothing. The mark of `fail_fast` must be the state of the range as long as the scan is there: nothing is
held for it, and END_SCAN looks at the mark once more.

Requests for pages have turns: behind all else that has come one of them is served, then others are heard again. A page
needs more turns when layers in memory are not in order yet. What it shows is pinned meanwhile. When no request waits,
pages that will be asked for are read ahead.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from shardstore.errors import Busy, InvalidRequest, ScanInvalidated
from shardstore.identifiers import RequestId
from shardstore.limits import MILLISECOND_NS, SCAN_LEASE_NS
from shardstore.options import ScanMode
from shardstore.seams.effects import Effect, Send
from shardstore.wire.messages import ScanRequest
from shardstore.wire.wire_format import Flag, Op
from shardstore.workers.load.meter import LoadMeter
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.range_view import PinnedView, RangeView
from shardstore.workers.serving.open_scans import OpenScan, OpenScans
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.requests import page_entries, scan_of, wanted_of
from shardstore.workers.serving.scan_page import NOTHING, EncodedPage, scan_page
from shardstore.workers.serving.write_path import WritePath

SYNC_WAIT_NS = 2 * MILLISECOND_NS
"""When to ask again for a page that waits for writes to be synced."""
SORTED_A_TURN = 4_096
"""Keys of layers in memory that are put in order before others have their turn: two to three milliseconds."""
_STATE = struct.Struct("<IQQ")
_HELD = frozenset((ScanMode.SNAPSHOT.value, ScanMode.FULL_ISOLATION.value))


Answer = Callable[[Asker, Sequence[bytes], int], list[Effect]]


class _Begun(NamedTuple):
    """What a page shows that needs more turns, and the mark it gets in `fail_fast`."""

    pinned: PinnedView
    state: bytes


class Scanning:
    """All scans of a worker. `turns` are the requests for pages that wait for theirs."""

    def __init__(self, writes: WritePath, open_scans: OpenScans, load: LoadMeter) -> None:
        self._load = load
        self.open = open_scans
        self.turns: deque[tuple[Asker, Sequence[bytes]]] = deque()
        self._begun: dict[Asker, _Begun] = {}
        self._writes = writes

    def page(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int) -> Send | None:
        """Answer a SCAN with one page; None when that takes another turn, since layers are not in order yet.

        Raises InvalidRequest, ScanInvalidated, Busy, Corruption.
        """
        request = scan_of(frames)
        begun = self._begun.get(asker)
        scan = self._scan_of(owned, asker, request, now_ns)
        state = begun.state if begun else _checked_state(owned, request)
        pinned = scan.pinned if scan else begun and begun.pinned
        view = pinned.view if pinned else owned.view()
        if not view.sort(SORTED_A_TURN):
            if request.mode == ScanMode.FULL_ISOLATION:
                self._isolate(owned, asker, scan, now_ns)
            elif pinned is None:
                self._begun[asker] = _Begun(owned.pin(), state)
            return None
        page = self.open.ahead.take(request) or _read(view, owned, request, owned.is_shown_by(pinned))
        mark = self._mark(owned, asker, request, scan, page, now_ns) if request.mode in _HELD else state
        if scan and scan.pinned and mark and request.mark:
            self.open.ahead.want(request, page)
        first = request.start or owned.key_range.start
        self._load.note(owned.segment_id, Op.SCAN, (first,), page.entries, page.payload_bytes)
        flags = (Flag.KEYS_FIXED if page.keys.fixed else 0) | (Flag.VALUES_FIXED if page.values.fixed else 0)
        body = (page.keys.frame, page.values.frame, page.resume, mark)
        return asker.accept(self._writes.pressure, body, flags, page.entries)

    @property
    def has_work(self) -> bool:
        """Whether a turn is to be taken."""
        return bool(self.turns) or self.open.ahead.are_wanted

    def take_turn(self, answer: Answer, now_ns: int) -> list[Effect] | None:
        """Have the first request that waits answered; without an answer, it gets another turn. None if nothing waits.

        When no request does, a page is read ahead.
        """
        if not self.has_work:
            return None
        if not self.turns:
            self.open.ahead.read_next(self._read_ahead)
            return []
        asker, frames = self.turns.popleft()
        effects = answer(asker, frames, now_ns)
        if not effects:
            self.turns.append((asker, frames))
        elif begun := self._begun.pop(asker, None):
            begun.pinned.release()
        return effects

    def _read_ahead(self, request: ScanRequest) -> EncodedPage:
        """A page that was not asked for yet, of an open scan with a view, whose layers are in order."""
        owned, pinned = self.open.seen_by(request.mark)
        return _read(pinned.view, owned, request, owned.is_shown_by(pinned))

    def end(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes]) -> Send:
        """Answer an END_SCAN: hold nothing for the scan in this range. Raises InvalidRequest, ScanInvalidated."""
        request = scan_of(frames)
        _checked_state(owned, request)
        self.open.close_mark(request.mark, asker.header.client)
        return asker.accept(self._writes.pressure)

    def _mark(
        self,
        owned: OwnedRange,
        asker: Asker,
        request: ScanRequest,
        scan: OpenScan | None,
        page: EncodedPage,
        now_ns: int,
    ) -> bytes:
        """The mark of a page of a snapshot or an isolation, which is open from here on unless this is the last page."""
        if not page.resume or (request.limit and page.entries == request.limit):
            if scan:
                self.open.close(scan)
            return b""
        if request.mode == ScanMode.FULL_ISOLATION:
            return self._isolate(owned, asker, scan, now_ns).mark
        if scan is None:
            begun = self._begun.get(asker)
            scan = self.open.open_view(owned, asker, begun.pinned.share() if begun else owned.pin(), now_ns)
        scan.lease_end_ns = now_ns + SCAN_LEASE_NS
        return scan.mark

    def _isolate(self, owned: OwnedRange, asker: Asker, scan: OpenScan | None, now_ns: int) -> OpenScan:
        """Keep the writers of the range waiting, if the scan does not yet. Raises Busy."""
        scan = scan or self.open.open_isolation(owned, asker, now_ns)
        if self._writes.has_waiting(owned):
            raise Busy("writes before the scan wait for their sync", 1, 1, SYNC_WAIT_NS)
        return scan

    def _scan_of(self, owned: OwnedRange, asker: Asker, request: ScanRequest, now_ns: int) -> OpenScan | None:
        """The open scan that the page belongs to; None for the first page of one, and in modes that hold none."""
        if request.mode not in _HELD:
            return None
        client = asker.header.client
        if not client:
            raise InvalidRequest("a scan needs the client id that HELLO gives")
        before = None if request.mark else self.open.of_request(RequestId(client, asker.header.sequence))
        mark = before.mark if before else request.mark
        return self.open.of_mark(owned, mark, client, now_ns) if mark else None


def _read(view: RangeView, owned: OwnedRange, request: ScanRequest, is_now: bool) -> EncodedPage:
    """A page. Where the view shows the range as it is now, what scans know of that helps, and they learn of it."""
    wanted = wanted_of(request, owned.key_range)
    if wanted and is_now:
        wanted = owned.empty_spans.left_of(wanted, request.reverse)
    if wanted is None:
        return NOTHING
    page = scan_page(view, wanted, request.reverse, request.keys_only, page_entries(request))
    if page.passed and is_now:
        owned.empty_spans.note(page.passed)
    return page


def _checked_state(owned: OwnedRange, request: ScanRequest) -> bytes:
    """For `fail_fast` the state of the range, which the mark must be unless it is empty. Raises ScanInvalidated."""
    if request.mode != ScanMode.FAIL_FAST:
        return b""
    if owned.role.is_fenced:
        raise ScanInvalidated(None, b"", "the range was split, merged or moved since its first page")
    state = _STATE.pack(owned.epoch, owned.version, owned.writes_seen)
    if request.mark not in (b"", state):
        raise ScanInvalidated(None, b"", "the range was written or published since its first page")
    return state
