"""Reads pages of open scans before they are asked for, while the worker has nothing else to do.

So a client and its worker do not wait for each other: while the client decodes one page, the next one is read. Only
views are read ahead, as they do not change, and only once the client has asked for a second page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from shardstore.errors import Corruption, StorageFailure
from shardstore.limits import SCAN_PAGE_BYTES
from shardstore.tables.scan_page import EncodedPage
from shardstore.wire.messages import ScanRequest

PAGES_MAX = 8
SHARE_OF_VIEWS = 4
"""Pages read ahead may take 1/SHARE_OF_VIEWS of the memory for open scans, and always that of one page."""


class _PageAhead(NamedTuple):
    request: ScanRequest
    page: EncodedPage


class PagesAhead:
    """The pages that were read ahead, and those to be read, by the cursor of their scan.

    Invariants: at most `_pages_max` were read, none larger than SCAN_PAGE_BYTES. What was read for a scan is not to be
    read again.
    """

    def __init__(self, view_bytes: int) -> None:
        self._pages_max = max(1, min(PAGES_MAX, view_bytes // SHARE_OF_VIEWS // SCAN_PAGE_BYTES))
        self.wanted: dict[bytes, ScanRequest] = {}
        """The requests for the pages to be read ahead, by cursor."""
        self._read: dict[bytes, _PageAhead] = {}

    @property
    def cursors(self) -> set[bytes]:
        """The cursors of the scans that pages belong to."""
        return {*self.wanted, *self._read}

    @property
    def size_bytes(self) -> int:
        """Memory taken by the pages that were read."""
        return sum([ahead.page.payload_bytes for ahead in self._read.values()])

    def want(self, request: ScanRequest, page: EncodedPage) -> None:
        """Note that the page after this one is to be read ahead."""
        left = request.limit - page.entries if request.limit else 0
        start, end = (request.start, page.resume) if request.reverse else (page.resume, request.end)
        self.wanted[request.cursor] = replace(request, start=start, end=end, limit=left)

    def read_next(self, read: Callable[[ScanRequest], EncodedPage]) -> None:
        """Read the page that was wanted first. Damage is left for the client to find when it asks."""
        cursor = next(iter(self.wanted))
        request = self.wanted.pop(cursor)
        try:
            page = read(request)
        except (Corruption, StorageFailure):
            return
        if page.payload_bytes > SCAN_PAGE_BYTES:  # a value may be larger than a page
            return
        if len(self._read) == self._pages_max:  # the latest are kept
            del self._read[next(iter(self._read))]
        self._read[cursor] = _PageAhead(request, page)

    def take(self, request: ScanRequest) -> EncodedPage | None:
        """Remove and return the page for this request, if it was read."""
        ahead = self._read.get(request.cursor)
        self.forget(request.cursor)
        return ahead.page if ahead and ahead.request == request else None

    def forget(self, cursor: bytes) -> None:
        """Drop what belongs to a scan that is closed or continues elsewhere."""
        self.wanted.pop(cursor, None)
        self._read.pop(cursor, None)

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        assert len(self._read) <= self._pages_max, "too many pages were read ahead"
        sizes = [ahead.page.payload_bytes for ahead in self._read.values()]
        assert max(sizes, default=0) <= SCAN_PAGE_BYTES, "a page is too large"
        assert self.wanted.keys().isdisjoint(self._read), "a page that was read is to be read again"
