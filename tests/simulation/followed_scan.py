"""A scan in a simulation. Every page is checked against the oracle: it shows what its mode promises, without gaps."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

from shardstore.client.calls.calls import Call, EndScan, Page, ScanPage
from shardstore.client.calls.scan import Scan
from shardstore.errors import ScanInvalidated
from shardstore.options import ScanMode
from tests.simulation.clients import Answer
from tests.simulation.counters import Counters
from tests.simulation.oracle import Oracle, Violation
from tests.simulation.sim_clock import SimClock

Steps: TypeAlias = Generator[Call | int, Answer, Exception | None]


class Window(NamedTuple):
    """The times at which a call began and ended."""

    begin_ns: int
    end_ns: int


class FollowedScan:
    """Check that a page is true for every key it covers, present or absent,

    live             at some moment of its own call
    snapshot         at some moment of the call for the first page of the range
    full_isolation   at both
    fail_fast        at both, and at some moment of the last call in the range
    """

    def __init__(self, oracle: Oracle, counters: Counters, clock: SimClock, mode: ScanMode, scan: Scan) -> None:
        self._oracle = oracle
        self._counters = counters
        self._clock = clock
        self._mode = mode
        self._scan = scan
        self._first = Window(0, 0)
        self._goes_on = False
        self._shown: list[tuple[ScanPage, Page]] = []

    def run(self, pages: int | None, pause_ns: int = 0) -> Steps:
        """Scan to the end or for some pages, with a pause after each. Returns the error that ended the scan."""
        while (call := self._scan.next_call()) is not None:
            if pages == 0:
                break
            begin_ns = self._clock.now_ns()
            answer, error = yield call
            window = Window(begin_ns, self._clock.now_ns())
            if error is not None:
                return self._ended(error)
            if isinstance(call, EndScan):
                self._scan.confirm()
                self._check_again(window)
            else:
                self._taken(call, answer, window)
                pages = None if pages is None else pages - 1
                if pause_ns:
                    yield pause_ns
        leaving = self._scan.leave()
        if leaving is not None:
            yield leaving
        return None

    def _ended(self, error: Exception) -> Exception:
        if isinstance(error, ScanInvalidated) and self._mode is ScanMode.LIVE:
            raise Violation(f"a live scan was ended: {error}")
        return error

    def _taken(self, call: ScanPage, page: Page, window: Window) -> None:
        deque(self._scan.take(page), maxlen=0)
        if not self._goes_on:  # a page of the current range, even if the scan treats it otherwise
            self._first = window
            self._shown = []
        self._goes_on = page.more
        self._shown.append((call, page))
        of_its_beginning, of_now = self._mode is not ScanMode.LIVE, self._mode is not ScanMode.SNAPSHOT
        if self._oracle.some_expire:  # without a write, values come to their end between the two
            of_its_beginning &= self._mode is not ScanMode.FAIL_FAST
            of_now &= self._mode is not ScanMode.FULL_ISOLATION
        if of_its_beginning:
            self._check(call, page, self._first)
        if of_now:
            self._check(call, page, window)

    def _check_again(self, window: Window) -> None:
        """At the end of a scan in `fail_fast`: nothing was written since its pages, but values may have expired."""
        for call, page in self._shown if not self._oracle.some_expire else ():
            self._check(call, page, window)

    def _check(self, call: ScanPage, page: Page, window: Window) -> None:
        if any(left >= right for left, right in pairwise(page.keys)):
            raise Violation("a page of a scan is out of order")
        start, end = call.start, call.end
        if page.rest is not None:
            start, end = (page.rest[1], call.end) if call.reverse else (call.start, page.rest[0])
        covered = [key for key in self._oracle.keys if start <= key and (not end or key < end)]
        counters = [key for key in self._counters.keys if start <= key and (not end or key < end)]
        if not set(page.keys) <= {*covered, *counters}:
            raise Violation(f"a page of {start!r}..{end!r} has keys outside, or that nobody wrote")
        found: dict[bytes, Any] = dict(zip(page.keys, page.keys if call.keys_only else page.values, strict=True))
        for key in counters if not call.keys_only else ():
            self._counters.read(key, found.get(key), *window)
        for key in covered:
            if call.keys_only and key in found:
                self._oracle.read_present(key, *window)
            else:
                self._oracle.read(key, found.get(key), *window)
