"""What `AsyncClient.scan` returns: the counterpart of scan_iterator.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Any, Self

from shardstore.client.calls import Call, EndScan
from shardstore.client.loop_pump import LoopPump
from shardstore.client.scanning import Scan
from shardstore.errors import Closed, ScanInvalidated


class AsyncScanIterator(AsyncIterator[Any]):
    """The entries of a scan. Nothing is asked of the cluster before the first is wanted. For one task at a time.

    A worker may hold something for the scan until its end: close it, by hand or with `async with`, or let it go.
    """

    def __init__(self, pump: LoopPump, scan: Scan) -> None:
        self._scan = scan
        self._reader = _PageReader(pump, scan)
        self._closed = False
        self._entries = self._reader.entries()

    def __aiter__(self) -> AsyncIterator[Any]:
        """The entries that follow, the same ones as `anext` gives."""
        return self._entries

    def __anext__(self) -> Any:
        return anext(self._entries)

    @property
    def resume_token(self) -> bytes:
        """For `scan(resume=...)`, of any client, to go on right behind the last entry that was yielded."""
        return self._scan.token

    def seek(self, key: bytes) -> None:
        """Go on at the first key from this one on (`reverse`: the last one up to it), within the bounds of the scan.

        Forwards or backwards. Ranges are entered anew: they show what is there now.
        """
        if self._closed:
            raise Closed("the scan was closed")
        self._reader.leave()
        self._scan.seek(key)
        if self._reader.ended:
            self._entries = self._reader.entries()

    async def close(self) -> None:
        """Yield nothing more, and have nothing held for the scan any more."""
        self._closed = True
        await self._entries.aclose()
        self._reader.leave()
        self._scan.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class _PageReader:
    """Gets the pages of a scan; as a rule the next is under way (`ahead`) while one is read.

    `ended`: the scan has come to its end, or to an error.
    """

    def __init__(self, pump: LoopPump, scan: Scan) -> None:
        self._pump = pump
        self._scan = scan
        self._ahead: Call | None = None
        self.ended = False

    async def entries(self) -> AsyncGenerator[Any, None]:
        """The entries of each page. When this is closed or collected, the scan is left."""
        self.ended = False
        try:
            while (call := self._ahead or self._ask()) is not None:
                self._ahead = None
                answer = await self._pump.wait(call)
                if isinstance(call, EndScan):
                    self._scan.confirm()
                    continue
                entries = self._scan.take(answer)
                if self._scan.reads_ahead:
                    self._ahead = self._ask()
                for entry in entries:
                    yield entry
        except ScanInvalidated as error:
            raise self._scan.invalidated(error) from None
        finally:
            self.leave()
            self.ended = True

    def leave(self) -> None:
        """Tell the worker that no further page is wanted; the session tells it for a page that is under way."""
        ahead, self._ahead = self._ahead, None
        page = self._pump.settled_value(ahead) if ahead is not None else None
        if ahead is not None:
            self._pump.abandon(ahead)
        call = self._scan.leave(page)
        if call is not None:
            self._pump.tell(call)

    def _ask(self) -> Call | None:
        call = self._scan.next_call()
        return None if call is None else self._pump.submit(call)
