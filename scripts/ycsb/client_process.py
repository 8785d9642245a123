"""A client process: opens the store, waits for the common start, and sends figures to its parent every second.

    child -> parent    Ready, then Parts every second, then Done; or Failed at any time
    parent -> child    the start time, in ns of the clock that all processes share; then perhaps STOP

When the pipe closes, the parent has died and this process exits.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Event, Thread

from shardstore import ShardstoreError
from ycsb.crews import Orders, open_crew
from ycsb.samples import SECOND_NS
from ycsb.settings import Settings

STOP = "stop"
TOLD_NS = SECOND_NS // 5
"""Delay after a second until its figures are sent: runners hand over with their first call of the next second."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The store is open."""


@dataclass(frozen=True, slots=True)
class Done:
    """All runners have ended."""

    cpu_seconds: float
    """CPU seconds of this process since the start."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The process cannot continue. `what` is the message of the store if `expected`, else a traceback."""

    what: str
    expected: bool


def run_client(settings: Settings, process: int, pipe: Connection) -> None:
    """Run client process number `process` of the phase, from start to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and ends this process
    try:
        _run(settings, process, pipe)
    except ShardstoreError as error:
        pipe.send(Failed(str(error), expected=True))
    except (EOFError, BrokenPipeError):
        pass  # the parent has died
    except BaseException:
        pipe.send(Failed(traceback.format_exc(), expected=False))


def _run(settings: Settings, process: int, pipe: Connection) -> None:
    with closing(open_crew(settings)) as crew:
        pipe.send(Ready())
        begin_ns = pipe.recv()
        orders = Orders(settings, process, begin_ns)
        Thread(target=_listen, args=(pipe, orders), name="listener", daemon=True).start()
        time.sleep(max(0, begin_ns - time.perf_counter_ns()) / SECOND_NS)
        cpu_seconds = time.process_time()
        with _telling(pipe, orders, begin_ns):
            crew.work(orders)
        pipe.send(orders.recorder.parts())
        pipe.send(Done(time.process_time() - cpu_seconds))


def _listen(pipe: Connection, orders: Orders) -> None:
    try:
        while pipe.recv() != STOP:
            pass
    except (EOFError, OSError):
        os._exit(1)  # the parent has died
    orders.stop()


@contextmanager
def _telling(pipe: Connection, orders: Orders, begin_ns: int) -> Iterator[None]:
    """Send the figures to the parent every second, in a thread."""
    ended = Event()

    def tell() -> None:
        while not ended.wait((SECOND_NS - (time.perf_counter_ns() - begin_ns - TOLD_NS) % SECOND_NS) / SECOND_NS):
            pipe.send(orders.recorder.parts())

    thread = Thread(target=tell, name="teller", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
