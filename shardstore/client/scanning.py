"""A scan, page by page: which page to ask for next. Complete, or the client raises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shardstore.client.calls import Page, ScanPage
from shardstore.client.checking import checked_bound, checked_timeout_ns
from shardstore.errors import InvalidRequest
from shardstore.key_range import KeyRange, range_of_prefix
from shardstore.limits import SCAN_PAGE_ENTRIES


class Scan:
    """Where a scan stands. Raises InvalidRequest for arguments that make no scan.

    A page is asked for as soon as the one before it is here, so that it travels while that one is read.
    """

    def __init__(
        self,
        start: Any,
        end: Any,
        prefix: Any,
        reverse: bool,
        limit: int | None,
        keys_only: bool,
        timeout: float | None,
    ) -> None:
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise InvalidRequest(f"a limit is None or a number of entries, not {limit!r}")
        self._timeout_ns = checked_timeout_ns(timeout)
        self._reverse = reverse
        self._keys_only = keys_only
        self._left = limit
        self._rest = _range(checked_bound(start), checked_bound(end), checked_bound(prefix))

    def next_call(self) -> ScanPage | None:
        """The call for the next page, None when the scan is done."""
        if self._rest is None or self._left == 0:
            return None
        limit = SCAN_PAGE_ENTRIES if self._left is None else min(self._left, SCAN_PAGE_ENTRIES)
        return ScanPage(self._timeout_ns, *self._rest, self._reverse, self._keys_only, limit)

    def take(self, page: Page) -> None:
        """Go on behind this page."""
        self._rest = page.rest
        if self._left is not None:
            self._left -= len(page.keys)

    def entries(self, page: Page) -> Iterable[Any]:
        """What the scan yields of a page, in its order."""
        keys = page.keys[::-1] if self._reverse else page.keys
        if self._keys_only:
            return keys
        return zip(keys, page.values[::-1] if self._reverse else page.values, strict=True)


def _range(start: bytes, end: bytes, prefix: bytes) -> tuple[bytes, bytes] | None:
    """Start and end of the keys wanted; None when there can be none."""
    if end and start >= end:
        return None
    wanted = KeyRange(start, end).intersection(range_of_prefix(prefix))
    return (wanted.start, wanted.end) if wanted else None
