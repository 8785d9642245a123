"""The position of a scan: the next call, the entries to yield, and the token to continue from.

    next_call --> ScanPage --> take: the page is at hand   repeated, range after range; with a view: read by the client
              --> EndScan  --> confirm                     only in `fail_fast`, after the last page of each range
    prepare   --> ScanPage                                 once in each range: a look into the next range
    leave     --> EndScan                                  frees what a worker may hold for the scan

A scan is complete, or the client raises. The iterator over the keys of a page shows how far the caller has read, so no
bytecode runs for each entry. The position changes in one assignment, so an exception anywhere here, such as
KeyboardInterrupt, leaves it as it was before a step or after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from operator import length_hint
from typing import Any, NamedTuple, Protocol

from shardstore.client.calls.arguments import (
    checked_bounds,
    checked_flag,
    checked_key,
    checked_timeout_ns,
)
from shardstore.client.calls.calls import EndScan, Owner, Page, ScanPage, View
from shardstore.client.calls.resume_token import MODES, UNLIMITED, ResumePoint, from_token, to_token
from shardstore.errors import InvalidRequest, ScanInvalidated
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import BOUND_BYTES_MAX, SECOND_NS
from shardstore.options import ScanMode

END_TIMEOUT_NS = 5 * SECOND_NS
"""Time for telling a worker that a scan has left it. If that fails, the scan ends by its idle timeout."""
IN_USE = (
    "another thread or task is getting the next page of this scan, which is for one at a time: give each its own scan"
)
CANNOT_BE_COPIED = (
    "a scan cannot be copied or pickled: go on, in any process, with `scan(resume=...)` and its resume_token"
)
CARRIED_OVER = "it was begun before the process was forked, and its view belongs to the parent"

Bounds = tuple[bytes, bytes]


class EntryCodec(Protocol):
    """What a scan yields for the entries of a page, and what `seek` takes.

    With each entry, one of `unread` is taken, which iterates over the keys: so it shows how far the caller has read.
    """

    @property
    def key_range(self) -> KeyRange:
        """The keys that it decodes."""
        ...

    @property
    def moments(self) -> bool:
        """Whether values that are to expire come to it as Expiring, with their moments."""
        ...

    def entries(self, keys: Sequence[bytes], values: Sequence[bytes], unread: Iterator[bytes]) -> Iterator[Any]:
        """What is yielded for entries."""
        ...

    def only_keys(self, keys: Sequence[bytes], unread: Iterator[bytes]) -> Iterator[Any]:
        """What is yielded for keys alone."""
        ...

    def place(self, key: Any) -> bytes:
        """The key of the store that `seek` means. Raises InvalidRequest."""
        ...


class _AsTheyAre:
    """Yields keys and values as they are stored."""

    key_range = EVERYTHING
    moments = False

    def entries(self, keys: Sequence[bytes], values: Sequence[bytes], unread: Iterator[bytes]) -> Iterator[Any]:
        return zip(unread, values, strict=False)

    def only_keys(self, keys: Sequence[bytes], unread: Iterator[bytes]) -> Iterator[Any]:
        return unread

    def place(self, key: Any) -> bytes:
        return key  # type: ignore[no-any-return]


class AllAtOnce(_AsTheyAre):
    """Yields for each page one pair: all its keys, and all its values, those that are to expire as Expiring."""

    moments = True

    def entries(self, keys: Sequence[bytes], values: Sequence[bytes], unread: Iterator[bytes]) -> Iterator[Any]:
        """The page, when it is asked for."""
        deque(unread, maxlen=0)
        yield keys, values


AS_THEY_ARE: EntryCodec = _AsTheyAre()


class _Stand(NamedTuple):
    """The position of a scan between two of its steps. The page at hand is the one that the caller reads now.

    rest            the keys after the page at hand; None if there are none
    left            how many entries are wanted after the page at hand, or UNLIMITED
    before          the keys that were left before the page at hand
    last_key        the key of the entry before the page at hand
    keys            the keys of the page at hand, in the order of the scan; `unread` iterates over them
    entries         what the caller gets for `unread`
    cursor, owner   those of the page at hand, if the next page is from the same range
    view            likewise
    to_confirm      the cursor with which to ask once more whether the range was written
    """

    rest: Bounds | None
    left: int
    before: Bounds
    last_key: bytes | None = None
    keys: Sequence[bytes] = ()
    unread: Iterator[bytes] = iter(())
    entries: Iterator[Any] = iter(())
    cursor: bytes = b""
    owner: Owner | None = None
    to_confirm: bytes = b""
    view: View | None = None

    @property
    def latest_key(self) -> bytes | None:
        """The key of the latest entry that was yielded; None if there is none."""
        taken = len(self.keys) - length_hint(self.unread)
        return self.keys[taken - 1] if taken else self.last_key

    @property
    def left_in_all(self) -> int:
        """How many entries are wanted after the latest one that was yielded, or UNLIMITED."""
        return self.left if self.left == UNLIMITED else self.left + length_hint(self.unread)

    def position(self, reverse: bool) -> Bounds:
        """The keys that are left after the latest entry that was yielded."""
        start, end = self.before
        taken = len(self.keys) - length_hint(self.unread)
        if not taken:
            return start, end
        key = self.keys[taken - 1]
        return (start, key) if reverse else (key + b"\0", end)


class Scan:
    """One scan."""

    def __init__(self, point: ResumePoint, timeout: float | None, codec: EntryCodec = AS_THEY_ARE) -> None:
        self._codec = codec
        self._timeout_ns = checked_timeout_ns(timeout)
        self._mode = MODES[point.mode]
        self._reverse = point.reverse
        self._keys_only = point.keys_only
        self._bounds = (point.first, point.last)
        self._latest: ScanPage | None = None
        self._prepared: KeyRange | None = None
        before = (point.start, point.end)
        self._stand = _Stand(_unless_empty(*before), point.left, before)

    def __str__(self) -> str:
        key = self.last_key
        stands = "before its first entry" if key is None else f"behind {key[:40]!r}"
        return f"of mode {self._mode.value}{', in reverse' * self._reverse}, {stands}"

    @property
    def reads_ahead(self) -> bool:
        """Whether the next page is asked for while this one is read.

        A `fail_fast` scan does not read ahead, so that it ends with the page during which the range was written. A
        client that reads the next page itself has nothing to wait for.
        """
        return self._mode is not ScanMode.FAIL_FAST and self._stand.view is None

    def next_call(self) -> ScanPage | EndScan | None:
        """The next call; None if the scan is done."""
        stand = self._stand
        if stand.to_confirm:
            assert self._latest is not None
            return EndScan(self._timeout_ns, self._latest, stand.to_confirm, stand.owner)
        if stand.rest is None or not stand.left:
            return None
        limit = 0 if stand.left == UNLIMITED else stand.left
        call = ScanPage(self._timeout_ns, *stand.rest, self._reverse, self._keys_only, limit, self._mode, stand.cursor)
        call.owner = stand.owner if stand.cursor else None
        call.moments = self._codec.moments
        call.view = stand.view
        self._latest = call
        return call

    def take(self, page: Page) -> Iterator[Any]:
        """Go on to this page, after all entries of the previous one were read. Returns what the scan yields for it."""
        stand = self._stand
        keys = page.keys[::-1] if self._reverse else page.keys
        values = page.values[::-1] if self._reverse else page.values
        unread = iter(keys)
        codec = self._codec
        left = stand.left if stand.left == UNLIMITED else stand.left - len(keys)
        at_end = not page.more or not left
        self._stand = _Stand(
            rest=page.rest,
            left=left,
            before=stand.rest or self._bounds,
            last_key=stand.latest_key,
            keys=keys,
            unread=unread,
            entries=codec.only_keys(keys, unread) if self._keys_only else codec.entries(keys, values, unread),
            cursor=b"" if at_end else page.cursor,
            owner=page.owner,
            to_confirm=page.cursor if at_end else b"",
            view=None if at_end else page.view,
        )
        return self._stand.entries

    def prepare(self) -> ScanPage | None:
        """A look into the next range, whose reply nobody needs; None if there is nothing to look at.

        It makes the worker of that range sort its layers while the scan still reads here. There is one look in each
        range with several pages, but none by a scan with a limit, which may never reach the next range.
        """
        stand = self._stand
        if not stand.cursor or stand.owner is None or stand.rest is None:
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
        """The unread entries of the page at hand, in the order of the scan; None if there are none."""
        stand = self._stand
        return stand.entries if length_hint(stand.unread) else None

    def confirm(self) -> None:
        """Note that the range of the latest page was not written before its last entry was read."""
        self._stand = self._stand._replace(to_confirm=b"")

    def lose_owner(self) -> bool:
        """Note that no worker holds anything for the scan any more. Returns whether that breaks its promise."""
        stand = self._stand
        self._stand = stand._replace(cursor=b"", to_confirm=b"")
        return bool(stand.cursor or stand.to_confirm)

    def leave(self, ahead: Page | None = None) -> EndScan | None:
        """The call that ends the scan in its range, if a worker may hold something for it; else None.

        `ahead`: a page that was received and not taken. It is the next page of the same range, or the first of another.
        """
        stand = self._stand
        cursor, owner = stand.cursor, stand.owner
        if not cursor and ahead is not None and ahead.more:
            cursor, owner = ahead.cursor, ahead.owner
        self._stand = stand._replace(cursor=b"", to_confirm=b"", view=None)
        if not cursor or self._latest is None or self._mode is ScanMode.FAIL_FAST:
            return None
        return EndScan(END_TIMEOUT_NS, self._latest, cursor, owner)

    def place_of(self, key: Any) -> Bounds:
        """The keys of the scan from this key on, in the order of the scan. Raises InvalidRequest."""
        key = checked_key(self._codec.place(key), BOUND_BYTES_MAX)
        start, end = self._bounds
        if self._reverse:
            above = max(key + b"\0" if len(key) < BOUND_BYTES_MAX else key, start)  # no stored key has that length
            return start, min(end, above) if end else above
        return min(max(start, key), end) if end else max(start, key), end

    def go_to(self, place: Bounds) -> None:
        """Go on with the keys that `place_of` returned; yield nothing more of the page at hand."""
        stand = self._stand
        unread = stand.unread
        self._stand = _Stand(_unless_empty(*place), stand.left_in_all, place, stand.latest_key)
        deque(unread, maxlen=0)  # a loop of the caller may be iterating over them

    def stop(self) -> None:
        """Yield nothing more, not even of the page at hand. `token` still says how far the caller has read."""
        stand = self._stand
        unread = stand.unread
        self._stand = _Stand(None, stand.left_in_all, stand.position(self._reverse), stand.latest_key)
        deque(unread, maxlen=0)

    @property
    def last_key(self) -> bytes | None:
        """The key of the latest entry that was yielded; None if there is none."""
        return self._stand.latest_key

    @property
    def token(self) -> bytes:
        """The token with which a scan continues right after the latest entry that was yielded."""
        start, end = self._stand.position(self._reverse)
        left = self._stand.left_in_all
        return to_token(ResumePoint(start, end, self._reverse, self._keys_only, left, self._mode.value, *self._bounds))

    def invalidated(self, cause: str) -> ScanInvalidated:
        """The error for the caller, which says how far the scan came."""
        return ScanInvalidated(self.last_key, self.token, cause)


def scan_from_arguments(
    start: Any,
    end: Any,
    prefix: Any,
    reverse: bool,
    limit: int | None,
    keys_only: bool,
    mode: str,
    resume: Any,
    timeout: float | None,
    codec: EntryCodec = AS_THEY_ARE,
) -> Scan:
    """The scan for the arguments of a client's method. Raises InvalidRequest."""
    if resume is not None:
        is_bare = start is end is prefix is limit is None and reverse is keys_only is False
        if not is_bare or mode != ScanMode.SNAPSHOT:
            raise InvalidRequest("a scan that resumes has the bounds, direction, limit and mode of its token")
        return Scan(_checked_point(from_token(resume), codec.key_range), timeout, codec)
    reverse, keys_only = checked_flag("reverse", reverse), checked_flag("keys_only", keys_only)
    if limit is not None and (type(limit) is not int or not 0 <= limit < UNLIMITED):
        raise InvalidRequest(f"limit is None or a number of entries, 0 to 2**64 - 2, not {limit!r:.60}")
    if not isinstance(mode, str) or mode not in MODES:
        raise InvalidRequest(f"mode is one of {', '.join(MODES)}, not {mode!r:.60}")
    bounds = checked_bounds(start, end, prefix)
    if not bounds:
        bounds, limit = codec.key_range, 0
    left = UNLIMITED if limit is None else limit
    keys = (bounds.start, bounds.end)
    return Scan(ResumePoint(*keys, reverse, keys_only, left, str(mode), *keys), timeout, codec)


def _checked_point(point: ResumePoint, decoded: KeyRange) -> ResumePoint:
    """A point to resume at, if its keys can be decoded. Raises InvalidRequest."""
    if point.first < decoded.start or (decoded.end and not b"" < point.last <= decoded.end):
        raise InvalidRequest("the token is of a scan of other keys than those of this space")
    return point


def _unless_empty(start: bytes, end: bytes) -> Bounds | None:
    """The bounds, or None if no key can lie between them."""
    return None if end and start >= end else (start, end)
