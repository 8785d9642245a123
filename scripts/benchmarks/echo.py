"""The limit of a single operation: its bytes go to another process and back with bare pyzmq.

    one hop    DEALER -> ROUTER                          as on the direct path
    two hops   DEALER -> ROUTER, ROUTER -> DEALER        as through the router: one more process in the middle

Given a file, the last process appends the request to it and syncs it before it replies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import zmq

from benchmarks.child import child_process, endpoints
from benchmarks.settings import Settings
from benchmarks.timing import Figures, latency
from shardstore.wire.wire_format import HEADER_BYTES

ANSWER_MS = 20_000
_HELLO = b"hello"


class Echo:
    """The client of an echo server."""

    def __init__(self, socket: zmq.Socket[bytes], body: Sequence[bytes]) -> None:
        self._socket = socket
        self._message = [bytes(HEADER_BYTES), *body]
        self._ask()  # wait until the server has started

    def latency(self, operations: int) -> Figures:
        """The figures of `operations` round trips, made one after the other."""
        return latency(self._asks(operations))

    def _asks(self, operations: int) -> Iterator[None]:
        for _ in range(operations):
            self._ask()
            yield

    def _ask(self) -> None:
        self._socket.send_multipart(self._message)
        try:
            self._socket.recv_multipart()
        except zmq.Again:
            raise SystemExit("the echo server does not reply") from None


@contextmanager
def echo(
    settings: Settings, hops: int, request: Sequence[bytes], reply_bytes: int, synced: bool = False
) -> Iterator[Echo]:
    """An echo server over one or two hops that replies to each request with `reply_bytes` (0: a header only)."""
    with ExitStack() as stack:
        front, back = stack.enter_context(endpoints("front", "back"))
        file = f"{stack.enter_context(settings.temporary_directory())}/log" if synced else ""
        stack.enter_context(child_process(_answer, front if hops == 1 else back, hops == 1, reply_bytes, file))
        if hops == 2:
            stack.enter_context(child_process(_pass_on, front, back))
        context = stack.enter_context(zmq.Context())
        socket = stack.enter_context(context.socket(zmq.DEALER))
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.RCVTIMEO, ANSWER_MS)
        socket.connect(front)
        yield Echo(socket, request)


def _answer(endpoint: str, binds: bool, reply_bytes: int, file: str) -> None:
    socket = zmq.Context().socket(zmq.ROUTER if binds else zmq.DEALER)
    if binds:
        socket.bind(endpoint)
    else:
        socket.connect(endpoint)
        socket.send(_HELLO)
    reply = [bytes(HEADER_BYTES), bytes(reply_bytes)] if reply_bytes else [bytes(HEADER_BYTES)]
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND) if file else -1
    while True:
        asker, *request = socket.recv_multipart()
        if file:
            os.writev(descriptor, request)
            os.fdatasync(descriptor)
        socket.send_multipart([asker, *reply])


def _pass_on(front: str, back: str) -> None:
    context = zmq.Context()
    clients, servers = context.socket(zmq.ROUTER), context.socket(zmq.ROUTER)
    servers.bind(back)
    server = servers.recv_multipart()[0]
    clients.bind(front)
    poller = zmq.Poller()
    poller.register(clients, zmq.POLLIN)
    poller.register(servers, zmq.POLLIN)
    while True:
        for socket, _ in poller.poll():
            if socket is clients:
                servers.send_multipart([server, *clients.recv_multipart()])
            else:
                clients.send_multipart(servers.recv_multipart()[1:])
