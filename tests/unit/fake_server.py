"""A fake cluster behind real sockets, served by a thread of the test's process."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shardstore.access.doorkeeper import Doorkeeper
from shardstore.seams.effects import Received
from shardstore.system.socket_transport import SocketTransport
from tests.unit.fake_cluster import FakeCluster

ANY_PORT = "tcp://127.0.0.1:0"


class FakeServer:
    """Serves until `stop`. While it is paused, it keeps messages, and answers them afterwards.

    With the keys of a data directory, it listens over tcp too, and `url` is that.
    """

    def __init__(self, directory: Path, cluster: FakeCluster, keys: Path | None = None) -> None:
        self.cluster = cluster
        self.paused = threading.Event()
        self.received = threading.Semaphore(0)
        self.answered = threading.Semaphore(0)
        self._transport = SocketTransport()
        self.url = self._transport.bind("router", f"unix://{directory}/router")
        for worker in cluster.endpoints:
            cluster.endpoints[worker] = self._transport.bind(f"worker:{worker}", f"unix://{directory}/w{worker}")
        if keys is not None:
            doorkeeper = Doorkeeper(str(keys))
            for worker in cluster.endpoints:
                remote = self._transport.bind_also(f"worker:{worker}", ANY_PORT, doorkeeper)
                cluster.endpoints[worker] += f" {remote}"
            self.url = self._transport.bind_also("router", ANY_PORT, doorkeeper)
        self._stopping = False
        self._catches_up = False
        self._caught_up = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def pause(self) -> None:
        """Send no replies until `resume`."""
        self.paused.set()

    def resume(self) -> None:
        """Answer the messages kept, and continue."""
        self.paused.clear()
        self._transport.wake()

    def catch_up(self) -> None:
        """Return when everything that was sent before is answered."""
        self._caught_up.clear()
        self._catches_up = True
        self._transport.wake()
        assert self._caught_up.wait(timeout=10)

    def stop(self) -> None:
        """Stop the thread and close the sockets."""
        self._stopping = True
        self._transport.wake()
        self._thread.join()
        self._transport.close()

    def _serve(self) -> None:
        kept = []
        while not self._stopping:
            messages = [came for came in self._transport.receive(None) if isinstance(came, Received)]
            for _ in messages:
                self.received.release()
            kept += messages
            if self.paused.is_set():
                continue
            for message in kept:
                for reply in self.cluster.receive(message.link, message.frames):
                    self._transport.send(message.link, message.peer, reply)
                self.answered.release()
            kept = []
            if self._catches_up and messages:
                self._transport.wake()  # and look once more
            elif self._catches_up:
                self._catches_up = False
                self._caught_up.set()


class NoNewSocket(socket.socket):
    """Takes the place of `socket.socket` in a process without descriptors, in which connections are accepted still."""

    def __init__(self, *arguments: Any, fileno: int | None = None, **options: Any) -> None:
        if fileno is None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        super().__init__(*arguments, fileno=fileno, **options)


@contextmanager
def serving(directory: Path, cluster: FakeCluster | None = None, keys: Path | None = None) -> Iterator[FakeServer]:
    """Run a server for the duration of a block."""
    server = FakeServer(directory, cluster or FakeCluster(), keys)
    try:
        yield server
    finally:
        server.stop()


def in_thread(function: Any, *arguments: Any) -> tuple[threading.Thread, list[Any]]:
    """Call a function in a thread; its result or exception is added to the list."""
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append(function(*arguments))
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def await_request(server: FakeServer) -> None:
    """Wait until the server has received a message that it keeps."""
    assert server.received.acquire(timeout=10)


def forget_requests(server: FakeServer) -> None:
    """Let `await_request` wait for the next message."""
    while server.received.acquire(blocking=False):
        pass
