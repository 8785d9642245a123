"""What a client asks before it asks a worker. The reader behind it is made when it is first worth it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shardstore.client.calls.arguments import checked_keys
from shardstore.client.calls.batch_pieces import Boundaries
from shardstore.client.calls.calls import Many, Page, ScanPage
from shardstore.client.direct.ask import ASK, IN_MEMORY, Ask, InMemory
from shardstore.limits import KEY_BYTES_MAX
from shardstore.options import ScanMode
from shardstore.stats_schema import OwnReadsStats
from shardstore.tables.not_ready import NOT_READY, NotReady
from shardstore.wire.route_map import RouteMap

if TYPE_CHECKING:
    from shardstore.client.direct.reader import Reader

DIRECT_READS_MEMORY = "64MiB"
"""Default memory of a client for the indexes of the files that it reads."""
FIRST_READS = 16
"""So many single reads go to workers first: a program that reads a few keys need not load numpy."""
_MODES = (ScanMode.SNAPSHOT, ScanMode.LIVE)
"""Modes that keep no writer out, and need not know of writes."""


class DirectReads:
    """The direct reads of one client. For one thread at a time, but for `follow` and `get_ready`.

    `open_reader` makes the reader of the store with this identity; it returns None if this client cannot have one.
    `direct` counts keys that were read from files, `asked` those for which a worker had to be asked. Of a scan, they
    count the keys in the first page of each range, or that page as one.
    """

    def __init__(self, open_reader: Callable[[str], Reader | None]) -> None:
        self._open_reader = open_reader
        self._reader: Reader | None = None
        self._followed: tuple[str, RouteMap, Boundaries] | None = None
        self._refused: tuple[str, RouteMap, Boundaries] | None = None
        self.direct = 0
        self.asked = 0
        self._asked_for_any_key = 0
        """As many of these keys as former readers left to workers since any key could be in memory."""

    def follow(self, store: str, routes: RouteMap, boundaries: Boundaries) -> None:
        """Read by these routes from now on. Any thread may call this."""
        self._followed = store, routes, boundaries

    def get_ready(self, key: Any) -> bytes | InMemory | NotReady | None:
        """Return the value of a key, None, or IN_MEMORY, for any thread at any time; NOT_READY if `get` can tell."""
        followed, reader = self._followed, self._reader
        if followed is None or reader is None or reader.store != followed[0]:
            return NOT_READY
        if type(key) is not bytes or not 0 < len(key) <= KEY_BYTES_MAX:
            return NOT_READY
        found = reader.get_ready(key, followed[1])
        if found is IN_MEMORY:
            self.asked += 1
        elif found is not NOT_READY:
            self.direct += 1
        return found

    def get(self, key: Any) -> bytes | Ask | None:
        """Return the value of a key, None if it has none, or why a worker must be asked. A bad key is left to it."""
        followed = self._followed
        if followed is None or type(key) is not bytes or not 0 < len(key) <= KEY_BYTES_MAX:
            return ASK
        if followed is self._refused:
            self.asked += 1
            return ASK
        reader = self._reader
        if reader is None or reader.store != followed[0]:
            reader = self._made(followed) if self.direct or self.asked >= FIRST_READS else None
        try:
            found = reader.get(key, followed[1]) if reader is not None else ASK
        except BaseException:
            self.begin_anew()
            raise
        if type(found) is Ask:
            self.asked += 1
        else:
            self.direct += 1
        return found

    def get_many(self, call: Many) -> Many | list[bytes | None]:
        """Return the values of all keys of a call, or the call that is left: that for the keys that cannot be read."""
        followed = self._followed
        if followed is None:
            return call
        reader = self._reader
        if reader is None or reader.store != followed[0]:
            reader = self._made(followed)
        try:
            found = reader.get_many(call.keys, *followed[1:]) if reader is not None else None
        except BaseException:
            self.begin_anew()
            raise
        read = int(found.read.sum()) if found is not None else 0
        self.direct += read
        self.asked += len(call.keys.items) - read
        if found is None:
            return call
        call.flags = found.flags
        if not read:
            return call
        if read == len(call.keys.items):
            return found.values.tolist()  # type: ignore[no-any-return]
        rest = Many(call.timeout_ns, call.op, checked_keys(found.rest(call.keys.items)))
        rest.rest_of, rest.flags = found, found.flags
        return rest

    def statistics(self) -> OwnReadsStats:
        """Return how many keys were read which way."""
        of_reader = self._reader.refused.any_key if self._reader is not None else 0
        any_key = self._asked_for_any_key + of_reader
        return {"from_files": self.direct, "from_workers": self.asked, "asked_for_any_key": any_key}

    def page(self, call: ScanPage) -> Page | Ask:
        """Return a page of a scan that holds nothing in its range yet, or ASK."""
        followed = self._followed
        if followed is None or call.cursor or call.mode not in _MODES:
            return ASK
        reader = self._reader
        if reader is None or reader.store != followed[0]:
            is_worth_it = self.direct or self.asked >= FIRST_READS or not 0 < call.limit <= FIRST_READS
            reader = self._made(followed) if is_worth_it else None
        try:
            page = reader.page(call, followed[1]) if reader is not None else ASK
        except BaseException:
            self.begin_anew()
            raise
        if isinstance(page, Ask):
            self.asked += 1
        else:
            self.direct += len(page.keys)
        return page

    def begin_anew(self) -> None:
        """Drop the reader, which may be in the middle of a step: a read was interrupted, or cut off by a fork."""
        self._drop_reader()

    def close(self) -> None:
        """Let go of all files."""
        self._drop_reader()
        self._followed = None

    def _drop_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            self._asked_for_any_key += reader.refused.any_key

    def _made(self, followed: tuple[str, RouteMap, Boundaries]) -> Reader | None:
        """Make the reader, unless that failed since the latest routes came."""
        self._drop_reader()
        if self._refused is not followed:
            self._reader = self._open_reader(followed[0])
            self._refused = None if self._reader is not None else followed
        return self._reader
