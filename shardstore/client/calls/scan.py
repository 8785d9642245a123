"""Where a scan stands: what to ask for next, what it yields, and from where another scan could go on.

    next_call --> ScanPage --> take: the page is at hand   again and again, range after range
              --> EndScan  --> confirm                     only in `fail_fast`, behind the last page of each range
    prepare   --> ScanPage                                 once in each range: a look into the one that follows
    leave     --> EndScan                                  the scan gives up what a worker may hold for it

Complete, or the client raises. How far the caller has read in the page is known from the iterator over its keys, so
that nothing runs in bytecode per entry. Where the scan stands changes in one assignment, so that an exception in the
middle of anything here, such as KeyboardInterrupt, leaves it before a step or behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import Any, NamedTuple

from shardstore.client.calls.arguments import (
    checked_bound,
    checked_end,
    checked_flag,
    checked_key,
    checked_timeout_ns,
)
from shardstore.client.calls.calls import EndScan, Owner, Page, ScanPage
from shardstore.client.calls.resume_token import MODES, UNLIMITED, ResumePoint, from_token, to_token
from shardstore.errors import InvalidRequest, ScanInvalidated
from shardstore.key_range import KeyRange, range_of_prefix
from shardstore.limits import BOUND_BYTES_MAX, SECOND_NS
from shardstore.options import ScanMode

END_TIMEOUT_NS = 5 * SECOND_NS
"""How long a worker is told that a scan has left it; its lease ends that too."""
IN_USE = (
    "another thread or task is getting the next page of this scan, which is for one at a time: give each its own scan"
)
CANNOT_BE_COPIED = (
    "a scan cannot be copied or pickled: go on, in any process, with `scan(resume=...)` and its resume_token"
)
CARRIED_OVER = "it was begun before the process was forked, and its moment is the parent's"

Bounds = tuple[bytes, bytes]


class _Stand(NamedTuple):
    """Where a scan stands between two of its steps.

    rest         the keys behind the page at hand, None when there are none
    left         how many entries are wanted behind the page at hand, or UNLIMITED
    before       the keys that were left before the page at hand
    last_key     of the entry before the page at hand
    keys         of the page at hand, in the order of the scan; `unread` iterates over them
    entries      what the caller gets for `unread`
    mark, owner  of the page at hand, when the next one is of the same range
    to_confirm   the mark with which to ask once more whether the range has changed
    """

    rest: Bounds | None
    left: int
    before: Bounds
    last_key: bytes | None = None
    keys: Sequence[bytes] = ()
    unread: Iterator[bytes] = iter(())
    entries: Iterator[Any] = iter(())
    mark: bytes = b""
    owner: Owner | None = None
    to_confirm: bytes = b""

    @property
    def latest_key(self) -> bytes | None:
        """The key of the last entry that was yielded."""
        taken = len(self.keys) - length_hint(self.unread)
        return self.keys[taken - 1] if taken else self.last_key

    @property
    def left_in_all(self) -> int:
        """How many entries are wanted behind the last one that was yielded."""
        return self.left if self.left == UNLIMITED else self.left + length_hint(self.unread)

    def position(self, reverse: bool) -> Bounds:
        """The keys behind the last entry that was yielded."""
        start, end = self.before
        taken = len(self.keys) - length_hint(self.unread)
        if not taken:
            return start, end
        key = self.keys[taken - 1]
        return (start, key) if reverse else (key + b"\0", end)


class Scan:
    """One scan, from wherever it was begun. `reads_ahead`: ask for the next page while this one is read.

    `fail_fast` does not, so that it ends with the page in which the range was written.
    """

    def __init__(self, point: ResumePoint, timeout: float | None) -> None:
        self._timeout_ns = checked_timeout_ns(timeout)
        self._mode = MODES[point.mode]
        self._reverse = point.reverse
        self._keys_only = point.keys_only
        self._bounds = (point.first, point.last)
        self._latest: ScanPage | None = None
        self._prepared: KeyRange | None = None
        before = (point.start, point.end)
        self._stand = _Stand(_unless_empty(*before), point.left, before)
        self.reads_ahead = self._mode is not ScanMode.FAIL_FAST

    def __str__(self) -> str:
        key = self.last_key
        stands = "before its first entry" if key is None else f"behind {key[:40]!r}"
        return f"of mode {self._mode.value}{', in reverse' * self._reverse}, {stands}"

    def next_call(self) -> ScanPage | EndScan | None:
        """What to ask next, None when the scan is done."""
        stand = self._stand
        if stand.to_confirm:
            assert self._latest is not None
            return EndScan(self._timeout_ns, self._latest, stand.to_confirm, stand.owner)
        if stand.rest is None or not stand.left:
            return None
        limit = 0 if stand.left == UNLIMITED else stand.left
        owner = stand.owner if stand.mark else None
        self._latest = ScanPage(
            self._timeout_ns, *stand.rest, self._reverse, self._keys_only, limit, self._mode, stand.mark, owner
        )
        return self._latest

    def take(self, page: Page) -> Iterator[Any]:
        """Go on to this page, when all entries of the one before were read: what the scan yields of it."""
        stand = self._stand
        keys = page.keys[::-1] if self._reverse else page.keys
        values = page.values[::-1] if self._reverse else page.values
        unread = iter(keys)
        left = stand.left if stand.left == UNLIMITED else stand.left - len(keys)
        at_end = not page.more or not left
        self._stand = _Stand(
            rest=page.rest,
            left=left,
            before=stand.rest or self._bounds,
            last_key=stand.latest_key,
            keys=keys,
            unread=unread,
            entries=unread if self._keys_only else zip(unread, values, strict=False),
            mark=b"" if at_end else page.mark,
            owner=page.owner,
            to_confirm=page.mark if at_end else b"",
        )
        return self._stand.entries

    def prepare(self) -> ScanPage | None:
        """A look into the range that follows: nobody waits for the answer. None when there is nothing to look at.

        To answer, the worker of that range puts its layers in order, while the scan still reads here. It is asked once
        in each range of several pages, and not by a scan with a limit, which may never come there.
        """
        stand = self._stand
        if not stand.mark or stand.owner is None or stand.rest is None:
            return None
        if stand.left != UNLIMITED or not self.reads_ahead:
            return None
        here = stand.owner.key_range
        if here == self._prepared:
            return None
        self._prepared = here
        start, end = stand.rest
        if self._reverse:
            follows = _unless_empty(start, here.start) if here.start else None
        else:
            follows = _unless_empty(here.end, end) if here.end else None
        if follows is None:
            return None
        return ScanPage(self._timeout_ns, *follows, self._reverse, keys_only=True, limit=1)

    def at_hand(self) -> Iterator[Any] | None:
        """The entries of the page at hand that were not read, in the order of the scan; None when there are none."""
        stand = self._stand
        return stand.entries if length_hint(stand.unread) else None

    def confirm(self) -> None:
        """The range of the latest page was as shown until its last entry was read."""
        self._stand = self._stand._replace(to_confirm=b"")

    def lose_owner(self) -> bool:
        """Nobody holds anything for the scan any more: whether that breaks what its mode promises."""
        stand = self._stand
        self._stand = stand._replace(mark=b"", to_confirm=b"")
        return bool(stand.mark or stand.to_confirm)

    def leave(self, ahead: Page | None = None) -> EndScan | None:
        """What to tell the worker when no further page is wanted, if it may hold something for the scan.

        `ahead` is a page that has come and is not taken: of the same range as the one before, or the first of another.
        """
        stand = self._stand
        mark, owner = stand.mark, stand.owner
        if not mark and ahead is not None and ahead.more:
            mark, owner = ahead.mark, ahead.owner
        self._stand = stand._replace(mark=b"", to_confirm=b"")
        if not mark or self._latest is None or self._mode is ScanMode.FAIL_FAST:
            return None
        return EndScan(END_TIMEOUT_NS, self._latest, mark, owner)

    def place_of(self, key: Any) -> Bounds:
        """The keys from this one on (`reverse`: up to it) within the bounds of the scan. Raises InvalidRequest."""
        key = checked_key(key, BOUND_BYTES_MAX)
        start, end = self._bounds
        if self._reverse:
            above = max(key + b"\0" if len(key) < BOUND_BYTES_MAX else key, start)  # no key is as long as a bound
            return start, min(end, above) if end else above
        return min(max(start, key), end) if end else max(start, key), end

    def go_to(self, place: Bounds) -> None:
        """Go on with the keys of this place, from `place_of`; yield nothing more of the page at hand."""
        stand = self._stand
        unread = stand.unread
        self._stand = _Stand(_unless_empty(*place), stand.left_in_all, place, stand.latest_key)
        deque(unread, maxlen=0)  # a loop may stand in the middle of them

    def stop(self) -> None:
        """Yield nothing more, not even of the page at hand; `token` still says how far the caller came."""
        stand = self._stand
        unread = stand.unread
        self._stand = _Stand(None, stand.left_in_all, stand.position(self._reverse), stand.latest_key)
        deque(unread, maxlen=0)

    @property
    def last_key(self) -> bytes | None:
        """The key of the last entry that was yielded."""
        return self._stand.latest_key

    @property
    def token(self) -> bytes:
        """From where a scan would go on right behind the last entry that was yielded."""
        start, end = self._stand.position(self._reverse)
        left = self._stand.left_in_all
        return to_token(ResumePoint(start, end, self._reverse, self._keys_only, left, self._mode.value, *self._bounds))

    def invalidated(self, cause: str) -> ScanInvalidated:
        """The error that says how far the scan came."""
        return ScanInvalidated(self.last_key, self.token, cause)


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
        is_bare = start is end is prefix is limit is None and reverse is keys_only is False
        if not is_bare or mode != ScanMode.SNAPSHOT:
            raise InvalidRequest("a scan that resumes has the bounds, direction, limit and mode of its token")
        return Scan(from_token(resume), timeout)
    reverse, keys_only = checked_flag("reverse", reverse), checked_flag("keys_only", keys_only)
    if limit is not None and (type(limit) is not int or not 0 <= limit < UNLIMITED):
        raise InvalidRequest(f"limit is None or a number of entries, 0 to 2**64 - 2, not {limit!r:.60}")
    if not isinstance(mode, str) or mode not in MODES:
        raise InvalidRequest(f"mode is one of {', '.join(MODES)}, not {mode!r:.60}")
    first, last = checked_bound("start", start), checked_end(end)
    wanted = range_of_prefix(checked_bound("prefix", prefix))
    bounds = None if last is None else _unless_empty(first, last) and KeyRange(first, last).intersection(wanted)
    if not bounds:
        bounds, limit = KeyRange(), 0
    left = UNLIMITED if limit is None else limit
    keys = (bounds.start, bounds.end)
    return Scan(ResumePoint(*keys, reverse, keys_only, left, str(mode), *keys), timeout)


def _unless_empty(start: bytes, end: bytes) -> Bounds | None:
    """Start and end of the keys wanted; None when there can be none."""
    return None if end and start >= end else (start, end)
