"""One client process: it opens the store, waits for the common begin, and tells its parent every second.

    child -> parent    Ready, then Parts every second, then Done; or Failed at any time
    parent -> child    the time of the begin, in ns of the clock that all processes share; then perhaps STOP

When the pipe ends, the parent is gone, and so is this process.
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
"""How long after the end of a second its figures are told: runners hand over with their first call of the next."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The store is open."""


@dataclass(frozen=True, slots=True)
class Done:
    """All runners have ended."""

    cpu_seconds: float
    """What this process has used since the begin."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The process cannot go on. `expected`: `what` is the reason the store gave; else it is a traceback."""

    what: str
    expected: bool


def run_client(settings: Settings, process: int, pipe: Connection) -> None:
    """The whole life of a client process, the `process`-th of the phase."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this process
    try:
        _run(settings, process, pipe)
    except ShardstoreError as error:
        pipe.send(Failed(str(error), expected=True))
    except (EOFError, BrokenPipeError):
        pass  # the parent is gone
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
        os._exit(1)  # the parent is gone
    orders.stop()


@contextmanager
def _telling(pipe: Connection, orders: Orders, begin_ns: int) -> Iterator[None]:
    """Tell the parent every second what was measured, from a thread of its own."""
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
