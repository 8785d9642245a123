"""What `AsyncClient.scan` returns: the counterpart of blocking/scan.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from sys import is_finalizing
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

from shardstore.client.aio.pump import LoopPump
from shardstore.client.calls.calls import Call, EndScan, Page, ScanPage
from shardstore.client.calls.scan import CANNOT_BE_COPIED, CARRIED_OVER, IN_USE, Scan
from shardstore.client.direct.ask import ASK, Ask
from shardstore.client.direct.direct_reads import DirectReads
from shardstore.errors import Closed, InvalidRequest, ScanInvalidated

Entry_co = TypeVar("Entry_co", covariant=True)


class AsyncScanIterator(AsyncIterator[Entry_co]):
    """The entries of a scan: pairs (key, value), or keys. For one task at a time.

    If `anext` raises an error or is cancelled, no entry is lost: call it again. It raises StopAsyncIteration only after
    the last entry. If a second task iterates at the same time, it gets InvalidRequest.

    A worker may hold resources for the scan until its end. If you do not read it to its end, close it, by hand or with
    `async with`, or drop it.

    Raises:
        ScanInvalidated: From `anext`: the scan cannot keep what its mode promises. A `seek` begins anew.
        The other errors of `AsyncClient.get`: From `anext`.
    """

    def __init__(self, pump: LoopPump, reads: DirectReads, scan: Scan) -> None:
        self._scan = scan
        self._reader = _AsyncPageReader(pump, reads, scan)
        self._closed = False
        self._page: Iterator[Entry_co] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Entry_co:
        for entry in self._page:
            return entry
        while (page := self._scan.at_hand() or await self._reader.next_page()) is not None:
            self._page = page
            for entry in page:
                return entry
        raise StopAsyncIteration

    def __repr__(self) -> str:
        return f"<shardstore.AsyncScanIterator {self._scan}>"

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

    async def close(self) -> None:
        """End the scan, and free what a worker holds for it. `resume_token` still says how far it came."""
        self._closed = True
        self._reader.leave()
        self._scan.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class _AsyncPageReader:
    """Gets the pages of a scan. As a rule the next page is under way (`_ahead`) while one is read.

    If a page does not come, the next attempt asks for it again. A scan that was invalidated stays so until a seek.
    """

    def __init__(self, pump: LoopPump, reads: DirectReads, scan: Scan) -> None:
        self._pump = pump
        self._reads = reads
        self._scan = scan
        self._ahead: Call | None = None
        self._invalidated = ""
        self._turning = False
        self._life = pump.life

    async def next_page(self) -> Iterator[Any] | None:
        """Get the next page that has entries, and return them; None at the end of the scan. May be cancelled.

        Raises InvalidRequest while another task waits for it.
        """
        if self._turning:
            raise InvalidRequest(IN_USE)
        try:
            self._turning = True
            return await self._next_page()
        finally:
            self._turning = False

    async def _next_page(self) -> Iterator[Any] | None:
        self._heed_fork()
        if self._invalidated:
            raise self._scan.invalidated(self._invalidated)
        while (call := self._ahead or self._ask()) is not None:
            self._ahead = call
            value = await self._value_of(call)
            self._ahead = None
            if isinstance(call, EndScan):
                self._scan.confirm()
                continue
            self._scan.take(value)
            if self._scan.reads_ahead:
                self._ahead = self._ask(held=True)
            if (look := self._scan.prepare()) is not None:
                self._pump.tell(look)
            if (entries := self._scan.at_hand()) is not None:
                return entries
        return None

    def leave(self) -> None:
        """Tell the worker that no further page is wanted. For a page under way, the session does so."""
        self._heed_fork()
        self._invalidated = ""
        ahead, self._ahead = self._ahead, None
        page = self._pump.settled_value(ahead) if ahead is not None else None
        if ahead is not None:
            self._pump.abandon(ahead)
        call = self._scan.leave(page)
        if call is not None:
            self._pump.tell(call)

    def __del__(self) -> None:
        if not is_finalizing():  # at the end of the program the worker notices that the client is gone
            self.leave()

    async def _value_of(self, call: Call) -> Any:
        """The value of a call. If this is cancelled, the call goes on, and the next attempt waits for it again."""
        if call.settled:
            await asyncio.sleep(0)  # other tasks have their turn between two pages, however soon these come
        try:
            return await self._pump.watch(call)
        except ScanInvalidated as error:
            self.leave()
            self._invalidated = error.cause
            raise self._scan.invalidated(error.cause) from None
        except Exception:
            self._ahead = None
            raise

    def _heed_fork(self) -> None:
        """After a fork, stop using what a worker holds for the scan: it belongs to the parent."""
        if self._life != self._pump.life:
            self._life = self._pump.life
            self._ahead = None
            if self._scan.lose_owner():
                self._invalidated = CARRIED_OVER

    def _ask(self, held: bool = False) -> Call | None:
        call: ScanPage | EndScan | None = self._scan.next_call()
        if call is None:
            return None
        page = self._read(call) if isinstance(call, ScanPage) else ASK
        if not isinstance(page, Ask):
            return self._pump.ended_with(call, page)
        call.held = held
        return self._pump.submit(call)

    def _read(self, call: ScanPage) -> Page | Ask:
        """Read a page from the view of the scan or, at its first page in a range, from the files of the range."""
        if call.view is not None:
            return call.view.page(call)
        return self._reads.page(call) if self._pump.may_read() else ASK
