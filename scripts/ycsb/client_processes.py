"""The parent's side of the client processes of a phase; client_process.py is the other side."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

from shardstore import ShardstoreError
from ycsb.client_process import Done, Failed, Ready, run_client
from ycsb.settings import Settings

START_SECONDS = 120.0
POLL_SECONDS = 0.1
END_SECONDS = 2.0


class ClientFailed(ShardstoreError):
    """A client process ended too early; the message says why."""


class ClientProcesses:
    """The client processes of a phase. They start and end with a `with` block.

    In the block Ctrl-C sets `interrupted` and raises nothing, since an exception could cut a message in two.
    """

    def __init__(self, settings: Settings) -> None:
        self.interrupted = threading.Event()
        self._settings = settings
        self._children: dict[Connection, BaseProcess] = {}
        self._at_work: list[Connection] = []
        self._handler: Any = None

    def wait_until_ready(self) -> None:
        """Wait until all processes have opened their store. Raises ClientFailed or KeyboardInterrupt."""
        deadline = time.monotonic() + START_SECONDS
        waiting = len(self._children)
        while waiting:
            if self.interrupted.is_set():
                raise KeyboardInterrupt
            if time.monotonic() > deadline:
                raise ClientFailed(f"{waiting} client processes were not ready within {START_SECONDS:.0f} s")
            waiting -= sum(isinstance(message, Ready) for message in self.messages())

    def tell(self, message: object) -> None:
        """Send a message to all processes at work. If one has died, `messages` will raise."""
        for pipe in self._at_work:
            with suppress(BrokenPipeError):
                pipe.send(message)

    @property
    def at_work(self) -> bool:
        """Whether any process is not done."""
        return bool(self._at_work)

    def messages(self) -> Iterator[Any]:
        """The messages of the processes, after a short wait. Raises ClientFailed."""
        for ready in wait(self._at_work, POLL_SECONDS):
            assert isinstance(ready, Connection)
            message = self._receive(ready)
            if isinstance(message, Done):
                self._at_work.remove(ready)
            yield message

    def _receive(self, pipe: Connection) -> Any:
        child = self._children[pipe]
        try:
            message = pipe.recv()
        except (EOFError, ConnectionResetError):
            child.join(END_SECONDS)
            raise ClientFailed(f"{child.name} ended with exit code {child.exitcode}") from None
        if isinstance(message, Failed):
            raise ClientFailed(message.what if message.expected else f"{child.name} failed:\n{message.what}")
        return message

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGINT, lambda number, frame: self.interrupted.set())
        try:
            for process in range(self._settings.processes):
                self._start(process)
        except BaseException:
            self._end()
            raise
        return self

    def _start(self, process: int) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        name = f"client process {process + 1}"
        child = context.Process(target=run_client, args=(self._settings, process, theirs), name=name, daemon=True)
        with _interrupts_blocked():
            child.start()
        theirs.close()
        self._children[ours] = child
        self._at_work.append(ours)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for pipe, child in self._children.items():
            if pipe in self._at_work:
                child.kill()
        for pipe, child in self._children.items():
            child.join(END_SECONDS)
            child.kill()
            child.join()
            pipe.close()
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block SIGINT; a child inherits the mask, so that Ctrl-C does not end it while it starts."""
    resource_tracker.ensure_running()  # the first child would start it, which unblocks SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
