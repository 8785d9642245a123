"""What `Client.scan` returns."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from types import TracebackType
from typing import Any, Self

from shardstore.client.calls import EndScan, ScanPage
from shardstore.client.pump import Pump, Ticket
from shardstore.client.scanning import Scan
from shardstore.errors import Closed, ScanInvalidated


class ScanIterator(Iterator[Any]):
    """The entries of a scan. Nothing is asked of the cluster before the first is wanted. For one thread at a time.

    A worker may hold something for the scan until its end: close it, by hand or with `with`, or let it go.
    """

    def __init__(self, pump: Pump, scan: Scan) -> None:
        self._scan = scan
        self._reader = _PageReader(pump, scan)
        self._closed = False
        self._begin()

    def __iter__(self) -> Iterator[Any]:
        """The entries that follow. The same ones as `next` gives, without a step in bytecode for each."""
        return self._entries

    def __next__(self) -> Any:
        return next(self._entries)

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
            self._begin()

    def close(self) -> None:
        """Yield nothing more, and have nothing held for the scan any more."""
        self._closed = True
        self._pages.close()
        self._reader.leave()
        self._scan.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> None:
        self._pages = self._reader.pages()
        self._entries = chain.from_iterable(self._pages)


class _PageReader:
    """Gets the pages of a scan; as a rule the next is under way (`ahead`) while one is read.

    `ended`: the scan has come to its end, or to an error.
    """

    def __init__(self, pump: Pump, scan: Scan) -> None:
        self._pump = pump
        self._scan = scan
        self._ahead: Ticket | None = None
        self.ended = False

    def pages(self) -> Generator[Iterable[Any], None, None]:
        """The entries of each page. When this is closed or collected, the scan is left."""
        self.ended = False
        try:
            while (ticket := self._ahead or self._ask()) is not None:
                self._ahead = None
                answer = self._pump.wait(ticket)
                if isinstance(ticket.call, EndScan):
                    self._scan.confirm()
                    continue
                entries = self._scan.take(answer)
                if self._scan.reads_ahead:
                    self._ahead = self._ask()
                yield entries
        except ScanInvalidated as error:
            raise self._scan.invalidated(error) from None
        finally:
            self.leave()
            self.ended = True

    def leave(self) -> None:
        """Tell the worker that no further page is wanted; the session tells it for a page that is under way."""
        ticket, self._ahead = self._ahead, None
        if ticket is not None and not ticket.settled:
            self._pump.abandon(ticket)
        call = self._scan.leave(ticket.value if ticket is not None else None)
        if call is not None:
            self._pump.tell(call)

    def _ask(self) -> Ticket | None:
        call: ScanPage | EndScan | None = self._scan.next_call()
        if call is None:
            return None
        ticket = self._pump.submit(call)
        self._pump.send()
        return ticket
