"""What `Client.scan` returns."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from functools import partial
from itertools import chain
from sys import is_finalizing
from threading import get_ident
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from shardstore.client.blocking.locked_reads import LockedReads
from shardstore.client.blocking.pump import Pump
from shardstore.client.calls.calls import EndScan, Page, ScanPage
from shardstore.client.calls.scan import CANNOT_BE_COPIED, CARRIED_OVER, IN_USE, Scan
from shardstore.client.direct.ask import ASK, Ask
from shardstore.errors import Closed, InvalidRequest, ScanInvalidated

Entry_co = TypeVar("Entry_co", covariant=True)
_END = object()
_NOTHING: Iterator[Any] = iter(())


class ScanIterator(Iterator[Entry_co]):
    """The entries of a scan: pairs (key, value), or keys. For one thread at a time.

    If `next` raises an error, no entry is lost: call it again. It raises StopIteration only after the last entry. If a
    second thread iterates at the same time, it gets InvalidRequest.

    A worker may hold resources for the scan until its end. If you do not read it to its end, close it, by hand or with
    `with`, or drop it.

    Raises:
        ScanInvalidated: From `next`: the scan cannot keep what its mode promises. A `seek` begins anew.
        The other errors of `Client.get`: From `next`.
    """

    def __init__(self, pump: Pump, reads: LockedReads, scan: Scan) -> None:
        self._scan = scan
        self._reader = _PageReader(pump, reads, scan)
        self._closed = False
        self._entries: Iterator[Entry_co] = self._reader.entries()

    def __iter__(self) -> Iterator[Entry_co]:
        """Iterate over the entries that `next` would return, without bytecode for each entry."""
        return self._entries

    def __next__(self) -> Entry_co:
        return next(self._entries)

    def __repr__(self) -> str:
        return f"<shardstore.ScanIterator {self._scan}>"

    def __reduce__(self) -> NoReturn:
        raise InvalidRequest(CANNOT_BE_COPIED)

    @property
    def resume_token(self) -> bytes:
        """Bytes for `scan(resume=...)` of any client: it continues right after the last entry that was yielded.

        They can be stored and sent to another process.
        """
        return self._scan.token

    def seek(self, key: Any) -> None:
        """Continue at another key, before or after the last one, with a fresh view of the range.

        The next entry is that of this key or, if it has none, the one that follows in the order of the scan. The bounds
        of the scan stay as they are.

        Args:
            key: 1 to 4,097 bytes; in a space, a key of it, or the first elements of one.

        Raises:
            InvalidRequest: The key is not allowed. The scan stays where it is.
            Closed: The scan was closed.
        """
        if self._closed:
            raise Closed("the scan was closed")
        place = self._scan.place_of(key)
        self._reader.leave()
        self._scan.go_to(place)
        self._entries = self._reader.entries()

    def close(self) -> None:
        """End the scan, and free what a worker holds for it. `resume_token` still says how far it came."""
        self._closed = True
        self._reader.leave()
        self._scan.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Steps(list[Iterator[Any]]):
    """The iterators of a scan: one that turns to the next page, the entries of that page, one that turns again, ..."""

    __slots__ = ("__weakref__",)


class _PageReader:
    """Gets the pages of a scan. As a rule the next page is under way (`_ahead`) while one is read.

    If a page does not come, the next attempt asks for it again. A scan that was invalidated stays so until a seek.
    """

    def __init__(self, pump: Pump, reads: LockedReads, scan: Scan) -> None:
        self._pump = pump
        self._reads = reads
        self._scan = scan
        self._ahead: ScanPage | EndScan | None = None
        self._invalidated = ""
        self._turned_by = 0
        self._life = pump.life

    def entries(self) -> Iterator[Any]:
        """All entries from here on, each from an iterator in C.

        An iterator of its own turns to the next page. If that raises, it is asked again at the next attempt: `chain`
        ends only if its source raises or ends, and the source is a list.
        """
        steps = _Steps()
        steps.append(iter(partial(self._turn_page, weakref.ref(steps)), _END))
        return chain.from_iterable(steps)

    def leave(self) -> None:
        """Tell the worker that no further page is wanted. For a page under way, the session does so."""
        self._heed_fork()
        self._invalidated = ""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and not ahead.settled:
            self._pump.abandon(ahead)
        call = self._scan.leave(ahead.answer if ahead is not None else None)
        if call is not None:
            self._pump.tell(call)

    def __del__(self) -> None:
        if not is_finalizing():  # at the end of the program the worker notices that the client is gone
            self.leave()

    def _turn_page(self, steps_of: weakref.ref[_Steps]) -> object:
        """Add the entries of the next page to the steps, if there is one.

        Raises InvalidRequest while another thread does this.
        """
        thread = get_ident()
        if self._turned_by not in (0, thread):
            raise InvalidRequest(IN_USE)
        try:
            self._turned_by = thread
            entries = self._scan.at_hand() or self._next_page()
            steps = steps_of()
            if entries is not None and steps is not None:
                steps[-1:] = (_NOTHING, entries, iter(partial(self._turn_page, steps_of), _END))
        finally:
            self._turned_by = 0
        return _END

    def _next_page(self) -> Iterator[Any] | None:
        """Get the next page that has entries, and return them; None at the end of the scan."""
        self._heed_fork()
        if self._invalidated:
            raise self._scan.invalidated(self._invalidated)
        while (call := self._ahead or self._ask()) is not None:
            self._ahead = None
            try:
                answer = self._pump.wait(call)
            except ScanInvalidated as error:
                self.leave()
                self._invalidated = error.cause
                raise self._scan.invalidated(error.cause) from None
            if isinstance(call, EndScan):
                self._scan.confirm()
                continue
            self._scan.take(answer)
            if self._scan.reads_ahead:
                self._ahead = self._ask(held=True)
            if (look := self._scan.prepare()) is not None:
                self._pump.tell(look)
            if (entries := self._scan.at_hand()) is not None:
                return entries
        return None

    def _heed_fork(self) -> None:
        """After a fork, stop using what a worker holds for the scan: it belongs to the parent."""
        if self._life != self._pump.life:
            self._life = self._pump.life
            self._ahead = None
            if self._scan.lose_owner():
                self._invalidated = CARRIED_OVER

    def _ask(self, held: bool = False) -> ScanPage | EndScan | None:
        call: ScanPage | EndScan | None = self._scan.next_call()
        if call is None:
            return None
        page = self._read(call) if isinstance(call, ScanPage) else ASK
        if not isinstance(page, Ask):
            self._pump.ended_with(call, page)
            return call
        call.held = held
        self._pump.submit(call)
        self._pump.send()
        return call

    def _read(self, call: ScanPage) -> Page | Ask:
        """Read a page from the view of the scan or, at its first page in a range, from the files of the range."""
        if call.view is not None:
            return call.view.page(call)
        return self._reads.page(call) if self._pump.may_read() else ASK
