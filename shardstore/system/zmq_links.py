"""Connected links over ZeroMQ, to a router on another host: DEALER sockets. The other side is in zmtp.py.

A DEALER keeps messages for a server that is down, and delivers them to the process that binds the endpoint next, so
receivers must judge a message by its content. libzmq accepts about a thousand messages, then returns EAGAIN; further
messages wait in an outbox here.

With a key, a link is encrypted by CURVE, and speaks only to the server of the key. A second socket, libzmq's monitor,
tells when a handshake succeeds or fails, and when the connection is lost. After a server has refused a key, or has
another mechanism, libzmq does not connect again: a new link must be made.

The descriptor of a ZeroMQ socket signals a change once, and a send may consume the signal. So after any send or take a
link is `unsure` until a take finds nothing.

A round trip costs little more than its receives and sends: flags are plain integers (enum arithmetic costs more than
a send), and frames are sent by the compiled base class of zmq.Socket. A poll costs a fifth of catching Again.

libzmq takes long to load, so this module is imported for the first such link.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import zmq
from zmq.backend import Socket as CompiledSocket

from shardstore.errors import InvalidRequest, Unavailable
from shardstore.limits import FRAME_BYTES_MAX, KIB, MILLISECOND_NS, OUTBOX_BYTES_MAX
from shardstore.seams.effects import Incoming, LinkDenied, LinkDown, LinkEvent, LinkUp, Received
from shardstore.system.readiness import READABLE, Readiness

if TYPE_CHECKING:
    from shardstore.access.key_files import ClientKey

_OUTBOX_RETRY_NS = 2 * MILLISECOND_NS
"""Time between attempts to send from an outbox: ZeroMQ does not report when it can send again."""
_TAKEN_AT_ONCE = 16
"""Maximum number of messages taken from one link before other links get their turn."""
_COPY_BYTES_MAX = 64 * KIB
"""Longer frames are sent without a copy; for shorter ones a copy is cheaper than tracking their use."""
_DESCRIPTORS = 14
"""More descriptors than the first socket of a context and its first connection need."""
_IN = int(zmq.POLLIN)
_LAST = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
_OPTIONS = {
    zmq.LINGER: 0,
    zmq.MAXMSGSIZE: FRAME_BYTES_MAX,
    zmq.HANDSHAKE_IVL: 3_000,
    zmq.HEARTBEAT_IVL: 2_000,
    zmq.HEARTBEAT_TIMEOUT: 6_000,
    zmq.RECONNECT_IVL: 20,
    zmq.RECONNECT_IVL_MAX: 500,
    zmq.CONNECT_TIMEOUT: 5_000,
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 30,
    zmq.TCP_KEEPALIVE_INTVL: 10,
    zmq.TCP_KEEPALIVE_CNT: 3,
}
_MONITORED = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_DISCONNECTED
)
_OCCURRENCE = struct.Struct("=HI")
"""An event of the monitor, and its value."""
_VERSION_MIN = (4, 3, 3)
"""Older ones have weaknesses of which a peer can make use before it has proved anything."""
_OTHER_SERVER = 500
"""The reason in the ERROR command of a server for which the client's box was not made; see access/curve.py."""


class ZmqLinks:
    """The ZeroMQ links of one transport, with a context of their own.

    `unsure`: the links that may have a message although epoll does not say so. `waiting`: the links with messages in
    their outboxes.
    """

    def __init__(self, readiness: Readiness, key: ClientKey | None = None) -> None:
        """With a key, all links are encrypted. Raises InvalidRequest if this libzmq is not fit for that."""
        if key is not None and (not zmq.has("curve") or zmq.zmq_version_info() < _VERSION_MIN):
            raise InvalidRequest(
                f"this libzmq ({zmq.zmq_version()}) does not encrypt, or is too old to be trusted: install pyzmq from "
                "its wheels"
            )
        self.key = key
        self.context: zmq.Context[Any] = zmq.Context()
        self.readiness = readiness
        self.unsure: dict[ZmqLink, None] = {}
        self.waiting: dict[ZmqLink, None] = {}

    @property
    def unsent_bytes(self) -> int:
        """Bytes of the messages in all outboxes."""
        return sum([link.unsent_bytes for link in self.waiting])

    def has_come(self) -> bool:
        """Whether a message has arrived that epoll may not report."""
        return any(link.readable() for link in list(self.unsure))

    def patience_ns(self, timeout_ns: int | None) -> int | None:
        """How long to wait for messages: `timeout_ns`, or less if an outbox has to be tried again."""
        if not self.waiting:
            return timeout_ns
        return _OUTBOX_RETRY_NS if timeout_ns is None else min(timeout_ns, _OUTBOX_RETRY_NS)

    def take(self, received: list[Incoming]) -> None:
        """Send from the outboxes; append the messages that epoll does not report."""
        for link in list(self.waiting):
            link.retry()
        for link in list(self.unsure):
            link.take(received)

    def end(self) -> None:
        """End the context. All links must be closed."""
        self.context.term()


class ZmqLink:
    """One socket and its outbox."""

    def __init__(self, name: str, links: ZmqLinks) -> None:
        """Raises Unavailable if the system has too few descriptors left for a socket."""
        self._name = name
        try:
            _make_sure_of_room()
            self._socket = links.context.socket(zmq.DEALER)
            self._monitor: zmq.Socket[bytes] = self._socket.get_monitor_socket(int(_MONITORED))
        except (zmq.ZMQError, OSError) as error:
            remedy = "close some of what is open, or raise `ulimit -n`"
            raise Unavailable(f"cannot open a socket: {error.strerror}; {remedy}") from None
        self._send: Callable[..., object] = partial(CompiledSocket.send, self._socket)
        self._items = [(self._socket, _IN), (self._monitor, _IN)]
        self._key = links.key
        self._endpoint = ""
        self._outbox: deque[list[bytes]] = deque()
        self._readiness = links.readiness
        self._unsure = links.unsure
        self._waiting = links.waiting
        self._descriptors: list[int] = []
        self.unsent_bytes = 0
        """Bytes of the messages in the outbox."""
        for option, value in _OPTIONS.items():
            self._socket.set(option, value)
        if self._key is not None:
            self._socket.set(zmq.CURVE_SERVERKEY, self._key.server)
            self._socket.set(zmq.CURVE_PUBLICKEY, self._key.public)
            self._socket.set(zmq.CURVE_SECRETKEY, self._key.secret)

    def open(self, endpoint: str) -> None:
        """Connect to the endpoint. Raises InvalidRequest."""
        self._socket.set(zmq.IPV6, _is_ipv6(endpoint))
        try:
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            reason = str(error).partition(" (addr=")[0]  # pyzmq repeats the address
            raise InvalidRequest(
                f"cannot connect to {endpoint}: {reason}; write it as `shardstore serve` prints it"
            ) from None
        self._endpoint = endpoint
        self._descriptors = [int(socket.get(zmq.FD)) for socket in (self._socket, self._monitor)]
        for descriptor in self._descriptors:
            self._readiness.add(descriptor, READABLE, lambda _, received: self.take(received))
        self._unsure[self] = None

    def send(self, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Send the message, or put it in the outbox. If that grows too large, drop all of it and return False."""
        message = list(frames)
        if not self._outbox:
            with suppress(zmq.Again):
                self._pass_on(message)
                return True
        self.unsent_bytes += sum(map(len, message))
        self._outbox.append(message)
        if self.unsent_bytes <= OUTBOX_BYTES_MAX:
            self._waiting[self] = None
            return True
        self._outbox.clear()
        self._waiting.pop(self, None)
        self.unsent_bytes = 0
        return False

    def send_all(self, peer: bytes, messages: Sequence[Sequence[bytes]]) -> bool:
        """As `send`, for several messages."""
        return all(self.send(peer, frames) for frames in messages)

    def retry(self) -> None:
        """Send messages of the outbox, as many as libzmq accepts."""
        with suppress(zmq.Again):
            while self._outbox:
                self._pass_on(self._outbox[0])
                self.unsent_bytes -= sum(map(len, self._outbox.popleft()))
            del self._waiting[self]

    def readable(self) -> bool:
        """Whether a message has arrived; if not, the link is no longer unsure."""
        if zmq.zmq_poll(self._items, 0):
            return True
        self._unsure.pop(self, None)
        return False

    def take(self, received: list[Incoming]) -> None:
        """Append messages that have arrived, up to _TAKEN_AT_ONCE, and what has happened to the connection."""
        for _ in range(_TAKEN_AT_ONCE):
            ready = zmq.zmq_poll(self._items, 0)
            if not ready:
                self._unsure.pop(self, None)
                return
            for socket, _ in ready:
                if socket is self._socket:
                    received.append(Received(self._name, b"", self._take_one()))
                else:
                    received.append(self._what_happened())
        self._unsure[self] = None

    def close(self) -> None:
        """Close the socket; drop unsent messages."""
        for descriptor in self._descriptors:
            self._readiness.remove(descriptor)
        self._unsure.pop(self, None)
        self._waiting.pop(self, None)
        self.drop()

    def drop(self) -> None:
        """Close the sockets at once, without changing anything that a forked child shares with its parent."""
        self._socket.disable_monitor()
        self._monitor.close(0)
        self._socket.close()

    def _pass_on(self, message: list[bytes]) -> None:
        """Pass the message to libzmq. Raises zmq.Again, at the first frame only."""
        self._unsure[self] = None
        send = self._send
        for frame in message[:-1]:
            send(frame, _MORE, len(frame) <= _COPY_BYTES_MAX)
        send(message[-1], _LAST, len(message[-1]) <= _COPY_BYTES_MAX)

    def _take_one(self) -> list[bytes]:
        """Receive the frames of the next message."""
        receive = self._socket.recv
        frame = receive(_LAST, False)
        frames = [frame.bytes]
        while frame.more:
            frame = receive(_LAST, False)
            frames.append(frame.bytes)
        return frames

    def _what_happened(self) -> LinkEvent:
        """Receive what the monitor tells next."""
        event, value = _OCCURRENCE.unpack(self._monitor.recv(_LAST))
        self._monitor.recv(_LAST)  # the address
        match event:
            case zmq.EVENT_HANDSHAKE_SUCCEEDED:
                return LinkUp(self._name)
            case zmq.EVENT_DISCONNECTED:
                return LinkDown(self._name)
            case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                return LinkDenied(self._name, self._why_refused(value))
        return LinkDenied(self._name, self._why_different(value))

    def _why_refused(self, reason: int) -> str:
        key = f"the key {self._key.name}" if self._key else "this client"
        if reason == _OTHER_SERVER:
            return f"{key} is for another store than that at {self._endpoint}: use a key of that store"
        return (
            f"the store at {self._endpoint} does not let in {key}: it was revoked; ask for a new one "
            "(`shardstore keys new`)"
        )

    def _why_different(self, reason: int) -> str:
        """Why the two sides cannot talk, though the server may be willing."""
        if reason != zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
            return f"what listens at {self._endpoint} is no store"
        if self._key is None:
            return (
                f"the store at {self._endpoint} asks for a key: connect with key=PATH, --key PATH or SHARDSTORE_KEY "
                "(`shardstore keys new` makes one)"
            )
        return (
            f"what listens at {self._endpoint} does not encrypt, so it is not the store of the key {self._key.name}: "
            "nothing was sent to it"
        )


def _make_sure_of_room() -> None:
    """Raise OSError unless enough descriptors are free for a socket and its threads: without them libzmq aborts."""
    taken: list[int] = []
    try:
        for _ in range(_DESCRIPTORS):
            taken.append(os.eventfd(0, os.EFD_CLOEXEC))
    finally:
        for descriptor in taken:
            os.close(descriptor)


def _is_ipv6(endpoint: str) -> int:
    """Return 1 for an address in brackets, else 0: with IPv6 on, libzmq would report 127.0.0.1 in the form of IPv6."""
    return int(endpoint.startswith("tcp://["))
