"""Direct reads that a signal handler, another thread or a fork interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from shardstore.client.blocking.locked_reads import LockedReads
from shardstore.client.calls.batch_pieces import Boundaries
from shardstore.client.direct.ask import ASK
from shardstore.client.direct.direct_reads import FIRST_READS, DirectReads
from shardstore.client.direct.readable_range import LeftToWorkers
from shardstore.client.direct.reader import Reader
from shardstore.tables.not_ready import NOT_READY, NotReady
from shardstore.wire.route_map import RouteMap


class FakeReader:
    """A reader in whose reads something happens."""

    store = "s"

    def __init__(self) -> None:
        self.during: Callable[[], None] = lambda: None
        self.ready: bytes | NotReady = NOT_READY
        self.refused = LeftToWorkers()

    def get(self, key: bytes, routes: RouteMap) -> bytes:
        self.during()
        return key

    def get_ready(self, key: bytes, routes: RouteMap) -> bytes | NotReady:
        return self.ready


class Reads:
    """Direct reads whose readers are fakes."""

    def __init__(self) -> None:
        self.readers: list[FakeReader] = []
        self.direct = DirectReads(self._open)
        self.direct.follow("s", cast(RouteMap, None), cast(Boundaries, None))
        self.locked = LockedReads(self.direct)
        for _ in range(FIRST_READS):
            assert self.locked.get(b"k") is ASK
        assert self.locked.get(b"k") == b"k"

    def _open(self, store: str) -> Reader:
        self.readers.append(FakeReader())
        return cast(Reader, self.readers[-1])

    def get_while(self, happens: Callable[[], Any]) -> list[Any]:
        """Read, while this happens; returns what it returned, and what was read."""
        found: list[Any] = []

        def once() -> None:
            self.readers[-1].during = lambda: None
            found.append(happens())

        self.readers[-1].during = once
        found.append(self.locked.get(b"k"))
        return found


def in_another_thread(reads: LockedReads) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(reads.get, b"k").result()


def test_a_read_in_the_middle_of_another_asks_a_worker() -> None:
    reads = Reads()
    assert reads.get_while(lambda: reads.locked.get(b"k")) == [ASK, b"k"]
    assert reads.locked.get(b"k") == b"k"


def test_a_read_of_another_thread_asks_a_worker_meanwhile() -> None:
    reads = Reads()
    assert reads.get_while(lambda: in_another_thread(reads.locked)) == [ASK, b"k"]
    assert in_another_thread(reads.locked) == b"k"


def test_what_is_ready_is_read_in_the_middle_of_another_read() -> None:
    reads = Reads()
    found = reads.get_while(lambda: (setattr(reads.readers[-1], "ready", b"value"), reads.locked.get_ready(b"k"))[1])
    assert found == [b"value", b"k"]
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(reads.locked.get_ready, b"k").result() == b"value"


def test_an_interrupted_read_makes_a_new_reader() -> None:
    reads = Reads()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reads.get_while(interrupt)
    assert reads.locked.get(b"k") == b"k"
    assert len(reads.readers) == 2


def test_a_thread_that_was_interrupted_after_it_took_the_lock_still_reads() -> None:
    reads = Reads()
    reads.locked._lock.acquire()
    assert reads.locked.get(b"k") == b"k"
    assert reads.get_while(lambda: reads.locked.get(b"k")) == [ASK, b"k"]


def test_after_a_fork_in_the_middle_of_a_read_of_another_thread_there_is_a_new_reader() -> None:
    reads, begun, ended = Reads(), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        ended.wait()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(reads.get_while, hang)
        begun.wait()
        assert reads.locked.get(b"k") is ASK
        reads.locked.carry_over_fork()
        assert reads.locked.get(b"k") == b"k"
        assert len(reads.readers) == 2
        ended.set()


def test_a_read_goes_on_when_a_signal_handler_forks_in_the_middle_of_it() -> None:
    reads = Reads()
    assert reads.get_while(reads.locked.carry_over_fork) == [None, b"k"]
    assert reads.locked.get(b"k") == b"k"
    assert len(reads.readers) == 1
