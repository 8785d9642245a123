"""Connected links over ZeroMQ: DEALER sockets. Whoever they connect to speaks as a ROUTER does; see zmtp.py.

A DEALER keeps messages for a server that is not up yet, or not up again, and delivers them to whoever binds the
endpoint next: receivers must judge a message by its content. libzmq takes about a thousand messages, then answers
EAGAIN; what it does not take waits in an outbox here.

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

from shardstore.errors import InvalidRequest, Unavailable
from shardstore.limits import FRAME_BYTES_MAX, KIB, OUTBOX_BYTES_MAX
from shardstore.seams.effects import Incoming, Received
from shardstore.system.readiness import READABLE, Readiness

LINGER_MS = 1_000
_TAKEN_AT_ONCE = 16
"""Messages one link may take before others have their turn."""
_COPY_BYTES_MAX = 64 * KIB
"""Longer frames are sent in place; for shorter ones a copy is cheaper than tracking their use."""
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


class ZmqLink:
    """One socket and what waits to be sent on it.

    `unsure` is shared by the links of a transport: those from which a message may be taken, whatever epoll says.
    """

    def __init__(self, name: str, context: zmq.Context[Any], readiness: Readiness, unsure: dict[ZmqLink, None]) -> None:
        """Raises Unavailable when the system has no room for a socket."""
        self._name = name
        try:
            make_sure_of_room()
            self._socket = context.socket(zmq.DEALER)
        except (zmq.ZMQError, OSError) as error:
            remedy = "close some of what is open, or raise `ulimit -n`"
            raise Unavailable(f"cannot open a socket: {error.strerror}; {remedy}") from None
        self._send: Callable[..., object] = partial(CompiledSocket.send, self._socket)
        self._item = [(self._socket, _IN)]
        self._outbox: deque[list[bytes]] = deque()
        self._readiness = readiness
        self._unsure = unsure
        self._descriptor: int | None = None
        self.unsent_bytes = 0
        """Bytes of what could not be passed on yet."""
        for option, value in _OPTIONS.items():
            self._socket.set(option, value)

    def open(self, endpoint: str) -> None:
        """Connect. Raises InvalidRequest."""
        self._socket.set(zmq.IPV6, _is_ipv6(endpoint))
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            reason = str(error).partition(" (addr=")[0]  # pyzmq repeats the address
            raise InvalidRequest(
                f"cannot connect to {endpoint}: {reason}; write it as `shardstore serve` prints it"
            ) from None
        self._descriptor = self._socket.get(zmq.FD)
        self._readiness.add(self._descriptor, READABLE, lambda _, received: self.take(received))
        self._unsure[self] = None

    @property
    def waiting(self) -> bool:
        """Whether something could not be passed on yet."""
        return bool(self._outbox)

    def send(self, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Pass the message on, or keep it behind others; False when too much is waiting: then all of it is dropped."""
        message = list(frames)
        if not self._outbox:
            with suppress(zmq.Again):
                self._pass_on(message)
                return True
        self.unsent_bytes += sum(map(len, message))
        self._outbox.append(message)
        if self.unsent_bytes <= OUTBOX_BYTES_MAX:
            return True
        self._outbox.clear()
        self.unsent_bytes = 0
        return False

    def retry(self) -> None:
        """Pass on what waits and is taken now."""
        with suppress(zmq.Again):
            while self._outbox:
                self._pass_on(self._outbox[0])
                self.unsent_bytes -= sum(map(len, self._outbox.popleft()))

    def readable(self) -> bool:
        """Whether a message has come; if not, the link is sure again."""
        if zmq.zmq_poll(self._item, 0):
            return True
        self._unsure.pop(self, None)
        return False

    def take(self, received: list[Incoming]) -> None:
        """Append the messages that have come, up to a number."""
        for _ in range(_TAKEN_AT_ONCE):
            if not self.readable():
                return
            received.append(Received(self._name, b"", self._take_one()))
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

    def _pass_on(self, message: list[bytes]) -> None:
        """Give the message to libzmq. Raises zmq.Again, at the first frame only."""
        self._unsure[self] = None
        send = self._send
        for frame in message[:-1]:
            send(frame, _MORE, len(frame) <= _COPY_BYTES_MAX)
        send(message[-1], _LAST, len(message[-1]) <= _COPY_BYTES_MAX)

    def _take_one(self) -> list[bytes]:
        """The frames of the next message."""
        receive = self._socket.recv
        frame = receive(_LAST, False)
        frames = [frame.bytes]
        while frame.more:
            frame = receive(_LAST, False)
            frames.append(frame.bytes)
        return frames


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
