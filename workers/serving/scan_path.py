"""Handles SCAN, as the mode of the scan demands, and END_SCAN.

Every page of a range has a cursor, which the request for the next page sends back (little-endian):

    live             -
    snapshot         u32 epoch, u64 random       names an open scan, whose view is read; none with the last page
    full_isolation   u32 epoch, u64 random       names an open scan, which keeps writers out; none with the last page
    fail_fast        u32 epoch, u64 manifest version, u64 writes applied       the state of the range

The last page is the one that reaches the end of the range, or the limit of the scan. So a scan of one page holds
nothing. In `fail_fast` nothing is held at all: the cursor must equal the state of the range at each page, and once more
at END_SCAN.

Requests for pages, and counts (count_path.py), take turns: one is served when no other request waits, then all others
come first again. A page needs more turns if layers in memory are not in order yet; its view stays pinned meanwhile. If
no request waits, pages are read ahead.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from shardstore.errors import Busy, InvalidRequest, ScanInvalidated
from shardstore.identifiers import RequestId
from shardstore.limits import MILLISECOND_NS, SCAN_IDLE_NS
from shardstore.options import ScanMode
from shardstore.seams.effects import Effect, Send
from shardstore.tables.scan_page import NOTHING, EncodedPage, scan_page
from shardstore.wire.messages import ScanRequest
from shardstore.wire.wire_format import Flag, Op
from shardstore.workers.load.meter import LoadMeter
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.range_view import PinnedView, RangeView
from shardstore.workers.serving.count_path import CountPath
from shardstore.workers.serving.open_scans import OpenScan, OpenScans
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.requests import scan_request_of, wanted_of
from shardstore.workers.serving.write_path import WritePath

SYNC_WAIT_NS = 2 * MILLISECOND_NS
"""When to ask again for a page that waits until writes are synced."""
SORTED_A_TURN = 4_096
"""Keys of layers in memory that are sorted in one turn: two to three milliseconds."""
_STATE = struct.Struct("<IQQ")
_GO_ON = frozenset((Op.SCAN, Op.COUNT))
_COUNT = int(Op.COUNT)
_HELD = frozenset((ScanMode.SNAPSHOT.value, ScanMode.FULL_ISOLATION.value))


Reply = Callable[[Asker, Sequence[bytes], int], list[Effect]]


class _Begun(NamedTuple):
    """The view of a page that needs more turns, and the cursor that the page gets in `fail_fast`."""

    pinned: PinnedView
    state: bytes


class ScanPath:
    """All scans and counts of a worker. `turns` are the requests, TAKEs too, that wait for their turn."""

    def __init__(self, writes: WritePath, open_scans: OpenScans, load: LoadMeter) -> None:
        self._load = load
        self.open = open_scans
        self.turns: deque[tuple[Asker, Sequence[bytes]]] = deque()
        self.counts = CountPath()
        self._begun: dict[Asker, _Begun] = {}
        self._writes = writes

    def wait_for_turn(self, asker: Asker, frames: Sequence[bytes]) -> None:
        """Let a request wait for its turns. A COUNT that was sent again takes the place of the one before."""
        if asker.header.op == _COUNT:
            for place, (waiting, _) in enumerate(self.turns):
                if waiting.header.op == _COUNT and _request_of(waiting) == _request_of(asker):
                    self.turns[place] = asker, frames
                    return
        self.turns.append((asker, frames))

    def page(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes], now_ns: int) -> Send | None:
        """Reply to a SCAN with one page; None if it needs another turn, because layers are not in order yet.

        Raises InvalidRequest, ScanInvalidated, Busy, Corruption.
        """
        request = scan_request_of(frames)
        begun = self._begun.get(asker)
        scan = self._scan_of(owned, asker, request, now_ns)
        state = begun.state if begun else _checked_state(owned, request)
        pinned = scan.pinned if scan else begun and begun.pinned
        view = pinned.view if pinned else owned.view()
        begun_ms = scan.clock_ms if scan else pinned.now_ms if pinned else None
        clock_ms = self._writes.clock.now_ms() if begun_ms is None else begun_ms
        if not view.sort(SORTED_A_TURN):
            if request.mode == ScanMode.FULL_ISOLATION:
                self._isolate(owned, asker, scan, now_ns, clock_ms)
            elif pinned is None:
                self._begun[asker] = _Begun(owned.pin(clock_ms), state)
            return None
        page = self.open.ahead.take(request) or _read(view, owned, request, owned.is_shown_by(pinned), clock_ms)
        cursor = self._cursor(owned, asker, request, scan, page, now_ns, clock_ms) if request.mode in _HELD else state
        if scan and scan.pinned and cursor and request.cursor:
            self.open.ahead.want(request, page)
        first = request.start or owned.key_range.start
        self._load.note(owned.segment_id, Op.SCAN, (first,), page.entries, page.payload_bytes)
        flags = (Flag.KEYS_FIXED if page.keys.fixed else 0) | (Flag.VALUES_FIXED if page.values.fixed else 0)
        body = (page.keys.frame, page.values.frame, page.resume, cursor)
        return asker.accept(self._writes.pressure, body, flags, page.entries)

    def has_work(self) -> bool:
        """Whether a request waits for its turn, or a page is to be read ahead."""
        return bool(self.turns or self.open.ahead.wanted)

    def take_turn(self, reply: Reply, now_ns: int) -> list[Effect] | None:
        """Reply to the first request that waits; without a reply it waits again. If none waits, read a page ahead.

        Returns None if there was nothing to do.
        """
        if not self.has_work():
            return None
        if not self.turns:
            self.open.ahead.read_next(self._read_ahead)
            return []
        asker, frames = self.turns.popleft()
        effects = reply(asker, frames, now_ns)
        if not effects and asker.header.op in _GO_ON:  # a TAKE that needs another turn has queued itself
            self.turns.append((asker, frames))
            return effects
        self.counts.forget(asker)
        if begun := self._begun.pop(asker, None):
            begun.pinned.release()
        return effects

    def _read_ahead(self, request: ScanRequest) -> EncodedPage:
        """Read a page that was not asked for yet, of an open scan with a view, whose layers are in order."""
        owned, pinned = self.open.seen_by(request.cursor)
        return _read(pinned.view, owned, request, owned.is_shown_by(pinned), pinned.now_ms)

    def end(self, owned: OwnedRange, asker: Asker, frames: Sequence[bytes]) -> Send:
        """Handle an END_SCAN: close the scan in this range. Raises InvalidRequest, ScanInvalidated."""
        request = scan_request_of(frames)
        _checked_state(owned, request)
        self.open.close_named(request.cursor, asker.header.client)
        return asker.accept(self._writes.pressure)

    def _cursor(
        self,
        owned: OwnedRange,
        asker: Asker,
        request: ScanRequest,
        scan: OpenScan | None,
        page: EncodedPage,
        now_ns: int,
        clock_ms: int,
    ) -> bytes:
        """The cursor of a page of a snapshot or an isolation. The scan is open from now on, unless this is the last."""
        if not page.resume or (request.limit and page.entries == request.limit):
            if scan:
                self.open.close(scan)
            return b""
        if request.mode == ScanMode.FULL_ISOLATION:
            return self._isolate(owned, asker, scan, now_ns, clock_ms).cursor
        if scan is None:
            begun = self._begun.get(asker)
            scan = self.open.open_view(owned, asker, begun.pinned.share() if begun else owned.pin(clock_ms), now_ns)
        scan.keep_until_ns = now_ns + SCAN_IDLE_NS
        return scan.cursor

    def _isolate(self, owned: OwnedRange, asker: Asker, scan: OpenScan | None, now_ns: int, clock_ms: int) -> OpenScan:
        """The scan that isolates the range, opened if `scan` is None. Raises Busy, also if writes wait for a sync."""
        scan = scan or self.open.open_isolation(owned, asker, now_ns, clock_ms)
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
        before = None if request.cursor else self.open.of_request(_request_of(asker))
        cursor = before.cursor if before else request.cursor
        return self.open.of_cursor(owned, cursor, client, now_ns) if cursor else None


def _request_of(asker: Asker) -> RequestId:
    return RequestId(asker.header.client, asker.header.sequence)


def _read(view: RangeView, owned: OwnedRange, request: ScanRequest, is_now: bool, clock_ms: int) -> EncodedPage:
    """Read a page, as of the moment that the clock shows.

    If `is_now` (the view is up to date), what is known to be empty is skipped, and more of it noted.
    """
    wanted = wanted_of(request, owned.key_range)
    if wanted and is_now:
        wanted = owned.empty_ranges.left_of(wanted, request.reverse)
    if wanted is None:
        return NOTHING
    page = scan_page(view.layers, wanted, request.reverse, request.keys_only, request.limit, clock_ms, request.moments)
    if page.passed and is_now:
        owned.note_passed(page.passed, page.passed_entries)
    return page


def _checked_state(owned: OwnedRange, request: ScanRequest) -> bytes:
    """The state of the range for `fail_fast`, else nothing. Raises ScanInvalidated if the cursor has another."""
    if request.mode != ScanMode.FAIL_FAST:
        return b""
    if owned.role.is_fenced:
        raise ScanInvalidated(None, b"", "the range was split, merged or moved since its first page")
    state = _STATE.pack(owned.epoch, owned.version, owned.writes_seen)
    if request.cursor not in (b"", state):
        raise ScanInvalidated(None, b"", "the range was written or published since its first page")
    return state
