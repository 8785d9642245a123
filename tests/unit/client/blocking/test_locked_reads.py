"""Direct reads of a blocking client: one thread at a time, and nobody waits."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from shardstore.client.blocking.locked_reads import LockedReads
from shardstore.client.calls.arguments import checked_keys
from shardstore.client.calls.calls import Many
from shardstore.client.direct.ask import ASK
from shardstore.client.direct.direct_reads import DirectReads
from shardstore.wire.wire_format import Op

CALL = Many(10**9, Op.GET, checked_keys([b"a"]))


class HandReads(DirectReads):
    """Reads that answer at once; `in_the_middle` is called in the middle of each."""

    def __init__(self) -> None:
        super().__init__(lambda store: None)
        self.in_the_middle: Callable[[], object] = lambda: None
        self.begun_anew = 0
        self.is_closed = False

    def get(self, key: Any) -> bytes:
        self.in_the_middle()
        return b"value of " + key

    def get_many(self, call: Many) -> list[bytes | None]:
        self.in_the_middle()
        return [b"value of " + key for key in call.keys.items]

    def begin_anew(self) -> None:
        self.begun_anew += 1

    def close(self) -> None:
        self.is_closed = True


class Locked:
    """Locked reads over reads by hand."""

    def __init__(self) -> None:
        self.reads = HandReads()
        self.locked = LockedReads(self.reads)

    def read(self, together: bool) -> object:
        return self.locked.get_many(CALL) if together else self.locked.get(b"a")


TOGETHER = pytest.mark.parametrize("together", [False, True])


@pytest.fixture
def made() -> Locked:
    return Locked()


@TOGETHER
def test_a_read_goes_to_the_files(made: Locked, together: bool) -> None:
    expected = [b"value of a"] if together else b"value of a"
    assert [made.read(together), made.read(together)] == [expected, expected]


@TOGETHER
def test_a_second_thread_asks_a_worker_and_does_not_wait(made: Locked, together: bool) -> None:
    found: list[object] = []

    def other() -> None:
        thread = threading.Thread(target=lambda: found.extend([made.read(False), made.read(True)]))
        thread.start()
        thread.join()

    made.reads.in_the_middle = other
    assert made.read(together) is not ASK
    assert found == [ASK, CALL]
    made.reads.in_the_middle = lambda: None
    assert made.read(False) == b"value of a", "the lock is free again"


@TOGETHER
def test_a_read_in_the_middle_of_a_read_of_its_own_thread_asks_a_worker(made: Locked, together: bool) -> None:
    """As a signal handler may read."""
    found: list[object] = []
    made.reads.in_the_middle = lambda: found.append(made.read(together))
    made.read(False)
    assert found == [CALL if together else ASK]


@TOGETHER
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_after_an_interrupt_in_the_middle_the_reader_is_made_anew(
    made: Locked, together: bool, error: type[BaseException]
) -> None:
    def interrupt() -> None:
        raise error

    made.reads.in_the_middle = interrupt
    with pytest.raises(error):
        made.read(together)
    assert made.reads.begun_anew == 1
    made.reads.in_the_middle = lambda: None
    assert made.read(together) is not ASK, "the lock is free again"
    assert made.reads.begun_anew == 1


def test_closing_lets_go_of_the_files_unless_a_thread_reads(made: Locked) -> None:
    made.reads.in_the_middle = made.locked.close
    made.read(False)
    assert not made.reads.is_closed
    made.locked.close()
    assert made.reads.is_closed


def test_a_fork_while_nobody_reads_changes_nothing(made: Locked) -> None:
    lock = made.locked._lock
    made.locked.carry_over_fork()
    assert made.locked._lock is lock
    assert made.reads.begun_anew == 0


def test_the_child_of_a_fork_in_the_middle_of_a_read_can_read(made: Locked) -> None:
    """The thread that read is not there in the child; in the parent it goes on."""
    told, tell = os.pipe()
    children: list[int] = []

    def fork() -> None:
        def run() -> None:
            child = os.fork()
            if not child:
                made.reads.in_the_middle = lambda: None
                found = made.read(False)
                os.write(tell, b"%d %s" % (made.reads.begun_anew, found if isinstance(found, bytes) else b"asks"))
                os._exit(0)
            children.append(child)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    made.reads.in_the_middle = fork
    assert made.read(False) == b"value of a"
    os.waitpid(children[0], 0)
    assert os.read(told, 100) == b"1 value of a"
    assert made.reads.begun_anew == 0
    os.close(told)
    os.close(tell)
