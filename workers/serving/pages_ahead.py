"""Pages of open scans that are read before they are asked for, while nothing else is to be done.

So a scan and its worker do not wait for each other: while the client takes one page apart, the next one is read. Only
a view is read ahead, which does not change meanwhile, and only once its client has asked for a second page of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from shardstore.errors import Corruption, StorageFailure
from shardstore.limits import SCAN_PAGE_BYTES
from shardstore.wire.messages import ScanRequest
from shardstore.workers.serving.scan_page import EncodedPage

PAGES_MAX = 8
SHARE_OF_VIEWS = 4
"""Pages ahead have this part of the memory for open scans, or one page."""


class _PageAhead(NamedTuple):
    request: ScanRequest
    page: EncodedPage


class PagesAhead:
    """What was read, and is to be read, of which scan; a scan is named by the mark in its requests.

    Invariant: at most so many pages as a part of `view_bytes` has room for; those of the latest readers are kept.
    """

    def __init__(self, view_bytes: int) -> None:
        self._pages_max = max(1, min(PAGES_MAX, view_bytes // SHARE_OF_VIEWS // SCAN_PAGE_BYTES))
        self._wanted: dict[bytes, ScanRequest] = {}
        self._read: dict[bytes, _PageAhead] = {}

    @property
    def are_wanted(self) -> bool:
        """Whether a page is to be read."""
        return bool(self._wanted)

    @property
    def size_bytes(self) -> int:
        """Memory taken by the pages."""
        return sum([ahead.page.payload_bytes for ahead in self._read.values()])

    def want(self, request: ScanRequest, page: EncodedPage) -> None:
        """The client that asked for this page will ask for the one behind it."""
        left = request.limit - page.entries if request.limit else 0
        start, end = (request.start, page.resume) if request.reverse else (page.resume, request.end)
        self._wanted[request.mark] = replace(request, start=start, end=end, limit=left)

    def read_next(self, read: Callable[[ScanRequest], EncodedPage]) -> None:
        """Read the page that was wanted first. What is damaged is left for the client to meet, when it asks."""
        mark = next(iter(self._wanted))
        request = self._wanted.pop(mark)
        try:
            page = read(request)
        except (Corruption, StorageFailure):
            return
        if page.payload_bytes > SCAN_PAGE_BYTES:  # a value may be larger than a page
            return
        if len(self._read) == self._pages_max:
            del self._read[next(iter(self._read))]
        self._read[mark] = _PageAhead(request, page)

    def take(self, request: ScanRequest) -> EncodedPage | None:
        """The page that is asked for, if it was read."""
        ahead = self._read.get(request.mark)
        self.forget(request.mark)
        return ahead.page if ahead and ahead.request == request else None

    def forget(self, mark: bytes) -> None:
        """The scan is closed, or goes on elsewhere."""
        self._wanted.pop(mark, None)
        self._read.pop(mark, None)
