"""Direct reads of pages in a client that threads share: one thread at a time reads, and the others ask workers."""

from __future__ import annotations

from shardstore.client.blocking.locked_reads import LockedReads
from shardstore.client.calls.calls import Page, ScanPage
from shardstore.client.direct.ask import ASK, Ask
from shardstore.client.direct.direct_reads import DirectReads
from shardstore.limits import SECOND_NS

PAGE = Page([b"k"], [b"v"], None, False)
CALL = ScanPage(SECOND_NS, b"", b"", False, False, 0)


class ScriptedReads(DirectReads):
    """Returns the same page each time, after another read of the same thread has come in between."""

    def __init__(self) -> None:
        super().__init__(lambda _store: None)
        self.locked = LockedReads(self)
        self.inner: list[Page | Ask] = []
        self.begun_anew = 0

    def page(self, call: ScanPage) -> Page | Ask:
        """Return the page."""
        self.inner.append(self.locked.page(call))
        return PAGE

    def begin_anew(self) -> None:
        """Count it."""
        self.begun_anew += 1


def test_a_page_wanted_while_another_is_read_is_the_workers() -> None:
    reads = ScriptedReads()
    assert reads.locked.page(CALL) is PAGE
    assert reads.locked.page(CALL) is PAGE
    assert reads.inner == [ASK, ASK]
    assert reads.begun_anew == 0
