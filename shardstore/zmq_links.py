"""Links over ZeroMQ: a ROUTER socket for a bound link, a DEALER for a connected one.

A DEALER keeps messages for a server that is not up yet, or not up again, and delivers them to whoever binds the
endpoint next: receivers must judge a message by its content. A ROUTER refuses unknown peers (ROUTER_MANDATORY).
libzmq takes about a thousand messages per peer, then answers EAGAIN; what it does not take waits in an outbox here.

The descriptor of a ZeroMQ socket tells of a change once, not of a state, and a send may swallow it. So a link is
`unsure` from any send or take until a take finds nothing.

A round trip costs little more than its receives and sends: flags are plain integers (enum arithmetic costs more than
a send), and frames are sent by the compiled base class of zmq.Socket. A poll costs a fifth of catching Again.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import zmq
from zmq.backend import Socket as CompiledSocket

from shardstore.effects import Incoming, Received
from shardstore.errors import InvalidRequest, Unavailable
from shardstore.limits import FRAME_BYTES_MAX, FRAMES_MAX, KIB, OUTBOX_BYTES_MAX
from shardstore.options import SocketAccess
from shardstore.readiness import READABLE, Readiness
from shardstore.socket_file import SocketFile

LINGER_MS = 1_000
_TAKEN_AT_ONCE = 64
"""Messages one link may take before others have their turn."""
_COPY_BYTES_MAX = 64 * KIB
"""Longer frames are sent in place; for shorter ones a copy is cheaper than tracking their use."""
_IPC = "ipc://"
_DESCRIPTORS = 12
"""More than the first socket of a context takes, and its first connection."""
_IN = int(zmq.POLLIN)
_LAST = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
_OPTIONS = {
    zmq.LINGER: LINGER_MS,
    zmq.MAXMSGSIZE: FRAME_BYTES_MAX,
    zmq.HANDSHAKE_IVL: 3_000,
    zmq.HEARTBEAT_IVL: 2_000,
    zmq.HEARTBEAT_TIMEOUT: 6_000,
    zmq.RECONNECT_IVL: 20,
    zmq.RECONNECT_IVL_MAX: 500,
}


class _Outbox:
    """Messages one peer has not taken, oldest first."""

    def __init__(self) -> None:
        self.messages: deque[list[bytes]] = deque()
        self.size = 0

    def add(self, message: list[bytes]) -> bool:
        """Keep the message, unless that would exceed the bound."""
        size = self.size + sum(map(len, message))
        if size > OUTBOX_BYTES_MAX:
            return False
        self.messages.append(message)
        self.size = size
        return True

    def remove_first(self) -> None:
        """Forget the oldest message."""
        self.size -= sum(map(len, self.messages.popleft()))


class ZmqLink:
    """One socket and what waits to be sent on it. On a connected link the one peer is b"".

    `unsure` is shared by the links of a transport: those from which a message may be taken, whatever epoll says.
    """

    def __init__(
        self,
        name: str,
        context: zmq.Context[Any],
        kind: zmq.SocketType,
        readiness: Readiness,
        unsure: dict[ZmqLink, None],
        access: SocketAccess | None = None,
    ) -> None:
        """Raises Unavailable when the system has no room for a socket."""
        self._name = name
        self._bound = kind == zmq.ROUTER
        self._access = access
        self._file: SocketFile | None = None
        self._endpoint = ""
        try:
            make_sure_of_room()
            self._socket = context.socket(kind)
        except (zmq.ZMQError, OSError) as error:
            raise Unavailable(f"cannot open a socket: {error}") from None
        self._send: Callable[..., object] = partial(CompiledSocket.send, self._socket)
        self._item = [(self._socket, _IN)]
        self._outboxes: dict[bytes, _Outbox] = {}
        self._readiness = readiness
        self._unsure = unsure
        self._descriptor: int | None = None
        self.discarded = 0
        for option, value in _OPTIONS.items():
            self._socket.set(option, value)
        if self._bound:
            self._socket.set(zmq.ROUTER_MANDATORY, 1)

    def open(self, endpoint: str) -> str:
        """Bind or connect. Answers the endpoint to connect to. Raises InvalidRequest."""
        self._socket.set(zmq.IPV6, _is_ipv6(endpoint))
        try:
            if self._bound:
                self._bind(endpoint)
            else:
                self._socket.connect(endpoint)
        except (zmq.ZMQError, OSError) as error:
            what = "listen on" if self._bound else "connect to"
            reason = str(error).partition(" (addr=")[0]  # pyzmq repeats the address
            raise InvalidRequest(f"cannot {what} {endpoint}: {reason}") from None
        self._descriptor = self._socket.get(zmq.FD)
        self._readiness.add(self._descriptor, READABLE, lambda _, received: self.take(received))
        self._unsure[self] = None
        opened: bytes = self._socket.get(zmq.LAST_ENDPOINT)
        self._endpoint = opened.rstrip(b"\0").decode()
        return self._endpoint

    def renew(self) -> None:
        """Listen in the same place again, if the file there has vanished. Connections, and the old listener, stay."""
        if self._file is not None and self._file.is_to_be_made_again():
            with suppress(zmq.ZMQError, OSError):  # it has vanished once more, and is seen to at the next time
                self._bind(self._endpoint)

    @property
    def waiting(self) -> bool:
        """Whether something could not be passed on yet."""
        return bool(self._outboxes)

    @property
    def unsent_bytes(self) -> int:
        """Bytes of what could not be passed on yet."""
        return sum([outbox.size for outbox in self._outboxes.values()])

    def send(self, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Pass the message on, or keep it behind others; False when the peer is gone or has too much waiting."""
        message = [peer, *frames] if self._bound else list(frames)
        outbox = self._outboxes.get(peer)
        if outbox is None:
            try:
                return self._pass_on(message)
            except zmq.Again:
                outbox = self._outboxes[peer] = _Outbox()
        if outbox.add(message):
            return True
        del self._outboxes[peer]
        return False

    def retry(self) -> None:
        """Pass on what waits and is taken now."""
        for peer, outbox in list(self._outboxes.items()):
            with suppress(zmq.Again):
                while outbox.messages and self._pass_on(outbox.messages[0]):
                    outbox.remove_first()
                del self._outboxes[peer]

    def readable(self) -> bool:
        """Whether a message has come; if not, the link is sure again."""
        if zmq.zmq_poll(self._item, 0):
            return True
        self._unsure.pop(self, None)
        return False

    def take(self, received: list[Incoming]) -> None:
        """Append the messages that have come, up to a number; `discarded` counts those of too many frames."""
        for _ in range(_TAKEN_AT_ONCE):
            if not self.readable():
                return
            peer, frames = self._take_one()
            if len(frames) <= FRAMES_MAX:
                received.append(Received(self._name, peer, frames))
            else:
                self.discarded += 1
        self._unsure[self] = None

    def close(self, linger_ms: int = 0) -> None:
        """Close the socket; unsent messages get this long to leave."""
        if self._descriptor is not None:
            self._readiness.remove(self._descriptor)
        self._unsure.pop(self, None)
        self._socket.close(linger=linger_ms)

    def drop(self) -> None:
        """Close the socket and leave everything that a fork shares with its origin alone."""
        self._socket.close(linger=0)

    def _bind(self, endpoint: str) -> None:
        """Listen. Raises zmq.ZMQError, OSError."""
        if not endpoint.startswith(_IPC):
            self._socket.bind(endpoint)
            return
        self._file = SocketFile(endpoint.removeprefix(_IPC), self._access)
        self._file.make(lambda: self._socket.bind(endpoint))

    def _pass_on(self, message: list[bytes]) -> bool:
        """Give the message to libzmq; False when it knows no such peer. Only the first frame can be refused."""
        self._unsure[self] = None
        send = self._send
        try:
            for frame in message[:-1]:
                send(frame, _MORE, len(frame) <= _COPY_BYTES_MAX)
            send(message[-1], _LAST, len(message[-1]) <= _COPY_BYTES_MAX)
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return False
            raise
        return True

    def _take_one(self) -> tuple[bytes, list[bytes]]:
        """Peer and frames of the next message, of too many frames no more than one too many."""
        receive = self._socket.recv
        peer = b""
        frame = receive(_LAST, False)
        if self._bound:
            peer = frame.bytes
            frame = receive(_LAST, False)
        frames = [frame.bytes]
        while frame.more:
            frame = receive(_LAST, False)
            if len(frames) <= FRAMES_MAX:
                frames.append(frame.bytes)
        return peer, frames


def make_sure_of_room() -> None:
    """Raise OSError unless the descriptors are there that a socket and its threads take: libzmq aborts without them."""
    taken: list[int] = []
    try:
        for _ in range(_DESCRIPTORS):
            taken.append(os.eventfd(0, os.EFD_CLOEXEC))
    finally:
        for descriptor in taken:
            os.close(descriptor)


def _is_ipv6(endpoint: str) -> int:
    """1 for an address in brackets. Not set for all: libzmq would report 127.0.0.1 in the form of IPv6."""
    return int(endpoint.startswith("tcp://["))
