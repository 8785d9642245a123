"""Seam: messages between processes. Real form: socket_transport.py; simulated form: tests/simulation/sim_network.py.

A link is a named socket of this process. A bound link has many peers, each with an id that this side assigned; a
connected link has one, with an empty id. Messages of one peer stay in order; whole messages may be lost if the peer
goes away. Nothing is dropped silently when space runs out: messages that a peer does not read wait in an outbox of
bounded size, and a peer that exceeds it is cut off, which `send` reports. A bound link reports peers that went away
(PeerGone), and reads no requests of a peer that does not read its replies. A connected link over tcp reports when it is
up, when it is lost, and when its server refuses this process (LinkUp, LinkDown, LinkDenied).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shardstore.seams.effects import Incoming


class Transport(Protocol):
    """The sockets of one process. Only `wake` may be called from another thread."""

    def bind(self, link: str, endpoint: str) -> str:
        """Listen at the endpoint; returns the endpoint to connect to (tcp port 0 becomes the port that was chosen)."""

    def connect(self, link: str, endpoint: str) -> None:
        """Connect a link to an endpoint, replacing a link of the same name. The endpoint need not exist yet."""

    def disconnect(self, link: str) -> None:
        """Close a link and drop its unsent messages."""

    def send(self, link: str, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Send a message, or queue it; False if the peer is unknown, gone, or cut off."""

    def send_all(self, link: str, peer: bytes, messages: Sequence[Sequence[bytes]]) -> bool:
        """As `send`, for several messages at once. If it returns False, some of them may have been sent."""

    def receive(self, timeout_ns: int | None) -> list[Incoming]:
        """Wait for messages, a wake or the timeout (None: forever; 0: not at all), then return messages.

        Returns a bounded number of messages; it may return early with none.
        """

    def renew(self) -> None:
        """Listen again at bound endpoints that have vanished, such as deleted socket files."""

    def wake(self) -> None:
        """End a waiting `receive`, or the next one. May be called from any thread."""

    def close(self) -> None:
        """Close every socket within a bounded time."""


class ClientTransport(Transport, Protocol):
    """A transport whose `receive` is split into `wait` and `take`, so that another event loop can wait for it."""

    def wait(self, timeout_ns: int | None) -> bool:
        """The first half of `receive`: wait; returns whether data has arrived, perhaps only part of a message.

        An exception raised in here, such as KeyboardInterrupt, loses nothing.
        """

    def take(self) -> list[Incoming]:
        """The second half of `receive`: send what is queued, and return what has arrived."""

    def drop(self) -> None:
        """Close every socket at once and drop unsent messages. In a forked child this leaves the parent's untouched."""

    def descriptor(self) -> int:
        """Return a file descriptor that becomes readable when `receive` may return messages; see SocketTransport."""
