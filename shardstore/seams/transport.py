"""Seam: messages between processes. Real form: socket_transport.py; simulated form: tests/simulation/sim_network.py.

A link is a named socket of this process: bound (many peers, each known by the id this side gave it) or connected
(one peer, id empty). Order per peer is kept; messages may vanish, whole, when a peer goes away. Nothing is dropped
in silence for want of room: what a peer does not take waits in an outbox bounded in bytes, and beyond that bound
the peer is cut off and `send` says so. A bound link tells of peers that went away (PeerGone), and takes no requests
of a peer that leaves its answers unread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shardstore.seams.effects import Incoming


class Transport(Protocol):
    """The sockets of one process. Only `wake` may be called from another thread."""

    def bind(self, link: str, endpoint: str) -> str:
        """Accept peers at the endpoint; answers the endpoint to connect to (a tcp port 0 is chosen)."""

    def connect(self, link: str, endpoint: str) -> None:
        """Open a link to one endpoint, replacing an earlier one of that name. Nobody need listen there yet."""

    def disconnect(self, link: str) -> None:
        """Drop a link and what waits on it."""

    def send(self, link: str, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Hand a message over; False when the peer is unknown, gone, or cut off."""

    def receive(self, timeout_ns: int | None) -> list[Incoming]:
        """Wait for messages, a wake or the timeout (None: for ever; 0: not at all); take a bounded number.

        It may end early with nothing.
        """

    def renew(self) -> None:
        """Listen again wherever a bound endpoint has vanished, as a file may."""

    def wake(self) -> None:
        """End a `receive` that waits, now or at its next call. From any thread."""

    def close(self) -> None:
        """Close every socket within a bounded time."""


class ClientTransport(Transport, Protocol):
    """A transport whose `receive` has two halves, and that a foreign event loop can wait for."""

    def wait(self, timeout_ns: int | None) -> bool:
        """The first half of `receive`: wait; whether something has come, perhaps in part.

        An exception in here, such as KeyboardInterrupt, leaves all whole.
        """

    def take(self) -> list[Incoming]:
        """The second half: pass on what waits, and take what has come."""

    def drop(self) -> None:
        """Close every socket at once, whatever waits to be sent. In a fork, what its origin has stays whole."""

    def descriptor(self) -> int:
        """A file descriptor that becomes readable when `receive` may have something; see SocketTransport."""
