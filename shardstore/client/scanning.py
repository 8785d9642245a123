"""Where a scan stands: what to ask for next, what it yields, and from where another scan could go on.

    next_call --> ScanPage --> take: entries of the page      again and again, range after range
              --> EndScan  --> confirm                        only in `fail_fast`, behind the last page of each range
    leave     --> EndScan                                     the scan gives up what a worker may hold for it

Complete, or the client raises. How far the caller has read in the page is known from the iterator over its keys, so
that nothing runs in bytecode per entry.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from operator import length_hint
from typing import Any

from shardstore.client.calls import EndScan, Owner, Page, ScanPage
from shardstore.client.checking import checked_bound, checked_key, checked_timeout_ns
from shardstore.client.resume_token import MODES, UNLIMITED, ResumePoint, from_token, to_token
from shardstore.errors import InvalidRequest, ScanInvalidated
from shardstore.key_range import KeyRange, range_of_prefix
from shardstore.limits import SECOND_NS
from shardstore.options import ScanMode

END_TIMEOUT_NS = 5 * SECOND_NS
"""How long a worker is told that a scan has left it; its lease ends that too."""


class Scan:
    """One scan, from wherever it was begun. `reads_ahead`: ask for the next page while this one is read.

    `fail_fast` does not, so that it ends with the page in which the range was written.
    """

    def __init__(self, point: ResumePoint, timeout: float | None) -> None:
        self._timeout_ns = checked_timeout_ns(timeout)
        self._mode = MODES[point.mode]
        self._reverse = point.reverse
        self._keys_only = point.keys_only
        self._bounds = (point.start, point.end)
        self._left = point.left
        self._rest = _unless_empty(*self._bounds)
        self._latest: ScanPage | None = None
        self._mark = b""
        self._owner: Owner | None = None
        self._to_confirm = b""
        self._last_key: bytes | None = None
        self._before = self._bounds
        self._keys: Sequence[bytes] = ()
        self._unread: Iterator[bytes] = iter(())
        self.reads_ahead = self._mode is not ScanMode.FAIL_FAST

    def next_call(self) -> ScanPage | EndScan | None:
        """What to ask next, None when the scan is done."""
        if self._to_confirm:
            assert self._latest is not None
            return EndScan(self._timeout_ns, self._latest, self._to_confirm, self._owner)
        if self._rest is None or not self._left:
            return None
        limit = 0 if self._left == UNLIMITED else self._left
        owner = self._owner if self._mark else None
        self._latest = ScanPage(
            self._timeout_ns, *self._rest, self._reverse, self._keys_only, limit, self._mode, self._mark, owner
        )
        return self._latest

    def take(self, page: Page) -> Iterable[Any]:
        """Go on to this page: what the scan yields of it, in its order."""
        self._last_key = self.last_key
        self._before = self._rest or self._bounds
        self._rest = page.rest
        if self._left != UNLIMITED:
            self._left -= len(page.keys)
        at_end = not page.more or not self._left
        self._mark = b"" if at_end else page.mark
        self._owner = page.owner
        self._to_confirm = page.mark if at_end else b""
        self._keys = page.keys[::-1] if self._reverse else page.keys
        self._unread = iter(self._keys)
        if self._keys_only:
            return self._unread
        return zip(self._unread, page.values[::-1] if self._reverse else page.values, strict=False)

    def confirm(self) -> None:
        """The range of the latest page was as shown until its last entry was read."""
        self._to_confirm = b""

    def leave(self, ahead: Page | None = None) -> EndScan | None:
        """What to tell the worker when no further page is wanted, if it may hold something for the scan.

        `ahead` is a page that has come and is not taken: of the same range as the one before, or the first of another.
        """
        mark, owner = self._mark, self._owner
        if not mark and ahead is not None and ahead.more:
            mark, owner = ahead.mark, ahead.owner
        self._mark = self._to_confirm = b""
        if not mark or self._latest is None or self._mode is ScanMode.FAIL_FAST:
            return None
        return EndScan(END_TIMEOUT_NS, self._latest, mark, owner)

    def seek(self, key: Any) -> None:
        """Go on at the first key from this one on (`reverse`: the last one up to it) that lies within the bounds."""
        key = checked_key(key)
        self.stop()
        start, end = self._bounds
        if self._reverse:
            above = max(key + b"\0", start)
            end = min(end, above) if end else above
        else:
            start = min(max(start, key), end) if end else max(start, key)
        self._before = (start, end)
        self._rest = _unless_empty(start, end)

    def stop(self) -> None:
        """Yield nothing more, not even of the page at hand; `token` still says how far the caller came."""
        self._last_key, self._before = self.last_key, self._position()
        if self._left != UNLIMITED:
            self._left += length_hint(self._unread)
        deque(self._unread, maxlen=0)
        self._keys = ()
        self._rest = None

    @property
    def last_key(self) -> bytes | None:
        """The key of the last entry that was yielded."""
        taken = len(self._keys) - length_hint(self._unread)
        return self._keys[taken - 1] if taken else self._last_key

    @property
    def token(self) -> bytes:
        """From where a scan would go on right behind the last entry that was yielded."""
        start, end = self._position()
        left = self._left if self._left == UNLIMITED else self._left + length_hint(self._unread)
        return to_token(ResumePoint(start, end, self._reverse, self._keys_only, left, self._mode.value))

    def invalidated(self, error: ScanInvalidated) -> ScanInvalidated:
        """The same error, saying how far the scan came."""
        return ScanInvalidated(self.last_key, self.token, error.cause)

    def _position(self) -> tuple[bytes, bytes]:
        """The keys behind the last entry that was yielded."""
        start, end = self._before
        taken = len(self._keys) - length_hint(self._unread)
        if not taken:
            return start, end
        key = self._keys[taken - 1]
        return (start, key) if self._reverse else (key + b"\0", end)


def scan_of(
    start: Any,
    end: Any,
    prefix: Any,
    reverse: bool,
    limit: int | None,
    keys_only: bool,
    mode: str,
    resume: Any,
    timeout: float | None,
) -> Scan:
    """The scan for the arguments of a client's method. Raises InvalidRequest."""
    if resume is not None:
        given = (start, end, prefix, limit) != (None, None, None, None) or reverse or keys_only
        if given or mode != ScanMode.SNAPSHOT:
            raise InvalidRequest("a scan that resumes has the bounds, direction, limit and mode of its token")
        return Scan(from_token(resume), timeout)
    if limit is not None and (not isinstance(limit, int) or not 0 <= limit < UNLIMITED):
        raise InvalidRequest(f"a limit is None or a number of entries, not {limit!r}")
    if not isinstance(mode, str) or mode not in MODES:
        raise InvalidRequest(f"a scan is one of {', '.join(MODES)}, not {mode!r}")
    first, last = checked_bound(start), checked_bound(end)
    wanted = range_of_prefix(checked_bound(prefix))
    bounds = _unless_empty(first, last) and KeyRange(first, last).intersection(wanted)
    if not bounds:
        bounds, limit = KeyRange(), 0
    left = UNLIMITED if limit is None else limit
    return Scan(ResumePoint(bounds.start, bounds.end, bool(reverse), bool(keys_only), left, str(mode)), timeout)


def _unless_empty(start: bytes, end: bytes) -> tuple[bytes, bytes] | None:
    """Start and end of the keys wanted; None when there can be none."""
    return None if end and start >= end else (start, end)
