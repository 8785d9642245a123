"""A bound link. Every connection is a peer with an id assigned here, and all peers are served fairly.

In each turn the process takes a few messages of each peer, but none of a peer that does not read its replies: one in a
worker, and up to 64 in the router, which only passes them on. So if one peer floods the process with requests, each
other request waits no longer than one turn of each peer takes, and unread replies stop growing. traffic.py bounds the
memory of all peers together.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from shardstore.limits import MILLISECOND_NS, SECOND_NS
from shardstore.options import SocketAccess
from shardstore.seams.effects import Incoming, PeerGone, Received
from shardstore.system.door import NO_ROOM, Door
from shardstore.system.readiness import READABLE, WRITABLE, Readiness
from shardstore.system.stream import Stream
from shardstore.system.stream_links import Connection
from shardstore.system.traffic import SWEEP_NS, Terms, Traffic

if TYPE_CHECKING:
    from shardstore.access.doorkeeper import Doorkeeper

LOGGED_NS = 10 * SECOND_NS
"""Minimum time between two log lines of the same kind."""
LOOK_AT_KEYS_NS = 250 * MILLISECOND_NS
"""How often to look whether the keys of open connections were revoked."""

log = logging.getLogger("shardstore.links")


class PeerConnection(Connection):
    """The connection of one peer of a listener. It is in `loaded` while one of its messages waits for its turn."""

    def __init__(
        self,
        stream: Stream,
        link: str,
        peer: bytes,
        readiness: Readiness,
        forget: Callable[[], object],
        traffic: Traffic,
        loaded: dict[PeerConnection, None],
        cut_off: Callable[[PeerConnection, str], None],
    ) -> None:
        """`cut_off` is called with a connection that this side closes, and the reason. Raises OSError."""
        super().__init__(stream, link, peer, readiness, forget)
        self._traffic = traffic
        self._at_once, self._pause_bytes = traffic.terms.at_once, traffic.terms.pause_bytes
        self._loaded = loaded
        self._cut_off = cut_off
        self._came: deque[list[bytes]] = deque()
        self._is_quiet = self._is_silent = True
        traffic.came(self)

    def close(self) -> None:
        """Close the connection and drop its waiting messages."""
        super().close()
        self._loaded.pop(self, None)
        self._came.clear()
        self._traffic.left(self)

    def cut_off(self, why: str) -> None:
        """Close the connection for this reason, and report that the peer is gone."""
        self._cut_off(self, why)

    def end(self, received: list[Incoming]) -> None:
        """Close the connection and append PeerGone, unless it is closed already."""
        if not self.gone:
            self.close()
            received.append(PeerGone(self._link, self._peer))

    def next_turn(self, received: list[Incoming]) -> None:
        """Append the next waiting messages, as many as one turn allows."""
        role = self.stream.role
        for _ in range(min(self._at_once, len(self._came))):
            received.append(Received(self._link, self._peer, self._came.popleft(), role))
        if not self._came:
            del self._loaded[self]
            self._watch()

    def _take(self, received: list[Incoming]) -> None:
        stream = self.stream
        if self._came or stream.unsent_bytes > self._pause_bytes:
            return
        if self._is_silent and not self._traffic.may_greet():
            return
        messages = stream.take()
        if self._is_silent and (messages or stream.shows_life):
            self._is_silent = False
            self._traffic.spoke(self)
        if len(messages) > self._at_once:
            self._came.extend(messages[self._at_once :])
            del messages[self._at_once :]
            self._is_quiet = False
        for frames in messages:
            received.append(Received(self._link, self._peer, frames, stream.role))
        if not (self._is_quiet and stream.is_quiet()):
            self._watch()

    def _watch(self) -> None:
        self._is_quiet = self.stream.is_quiet() and not self._came
        self._traffic.holds(self, self.stream.unsent_bytes, self.stream.arrived_bytes)
        if self._came and not self._is_paused():
            self._loaded[self] = None
        else:
            self._loaded.pop(self, None)
        super()._watch()

    def _wanted(self) -> int:
        listens = 0 if self._came or self._is_paused() else READABLE
        return listens | WRITABLE if self.stream.waiting else listens

    def _is_paused(self) -> bool:
        return self.stream.unsent_bytes > self._pause_bytes


class Listener:
    """Listens on one endpoint, or on several, and holds the connections of all, within its terms."""

    def __init__(
        self,
        name: str,
        endpoint: str,
        access: SocketAccess | None,
        readiness: Readiness,
        terms: Terms,
        now_ns: Callable[[], int],
    ) -> None:
        """Listen; replaces a socket file that a dead process left. Raises InvalidRequest."""
        self._name = name
        self._now_ns = now_ns
        self._readiness = readiness
        self._doors: list[Door] = []
        self._look_ns = 0
        """When to look next whether keys were revoked."""
        self._numbers = count(1)
        self._connections: dict[bytes, PeerConnection] = {}
        self._keyed: dict[bytes, tuple[PeerConnection, Doorkeeper]] = {}
        """The connections through doors that ask for keys."""
        self._loaded: dict[PeerConnection, None] = {}
        self._gone: list[Incoming] = []
        self._refusals = Repeated(now_ns)
        self._cuts = Repeated(now_ns)
        self.traffic = Traffic(terms, now_ns)
        self.endpoint = self.open_door(endpoint, access)

    def open_door(self, endpoint: str, access: SocketAccess | None = None, doorkeeper: Doorkeeper | None = None) -> str:
        """Listen at an endpoint too, with encryption and keys if there is a doorkeeper. Returns where to connect to.

        Raises InvalidRequest.
        """
        terms = self.traffic.terms
        limits = terms.bytes_max_of, terms.descriptors_max
        door = Door(endpoint, access, self._readiness, *limits, self._let_in, self._note_refusal, doorkeeper)
        self._doors.append(door)
        return door.endpoint

    def patience_ns(self) -> int | None:
        """The time until `take` has something to do even if nothing comes; None for any time."""
        if self._loaded or self._gone:
            return 0
        if self.traffic.is_watched():
            return SWEEP_NS
        return LOOK_AT_KEYS_NS if self._keyed else None

    def send(self, peer: bytes, frames: Sequence[bytes]) -> bool:
        """Send to one peer; False if it is unknown, gone, or was cut off because it does not read."""
        connection = self._connections.get(peer)
        return connection is not None and connection.send(frames)

    def send_all(self, peer: bytes, messages: Sequence[Sequence[bytes]]) -> bool:
        """As `send`, for several messages at once."""
        connection = self._connections.get(peer)
        return connection is not None and connection.send_all(messages)

    def take(self, received: list[Incoming]) -> None:
        """Append one waiting message of each peer, and PeerGone for the peers that were cut off."""
        if self._keyed:
            self._cut_off_revoked()
        if self._loaded:
            for connection in list(self._loaded):
                connection.next_turn(received)
        if self.traffic.is_watched():
            self.traffic.sweep()
        if self._gone:
            received += self._gone
            self._gone.clear()

    def renew(self) -> None:
        """Listen at the same paths again if their files have vanished. Connections stay open."""
        for door in self._doors:
            door.renew()

    def close(self) -> None:
        """Close the sockets and every connection."""
        for door in self._doors:
            door.close()
        for connection in list(self._connections.values()):
            connection.close()

    def drop(self) -> None:
        """Close the sockets, without changing anything that a forked child shares with its parent."""
        for door in self._doors:
            door.drop()
        for connection in self._connections.values():
            connection.stream.socket.close()

    def _let_in(self, stream: Stream, doorkeeper: Doorkeeper | None) -> None:
        """Take a new connection. Raises OSError."""
        peer = next(self._numbers).to_bytes(8, "big")
        forget = partial(self._forget, peer)
        self._connections[peer] = connection = PeerConnection(
            stream, self._name, peer, self._readiness, forget, self.traffic, self._loaded, self._cut_off
        )
        if doorkeeper is not None:
            self._keyed[peer] = connection, doorkeeper

    def _forget(self, peer: bytes) -> None:
        self._connections.pop(peer, None)
        self._keyed.pop(peer, None)

    def _cut_off_revoked(self) -> None:
        """Cut off the peers whose keys are not let in any more."""
        now_ns = self._now_ns()
        if now_ns < self._look_ns:
            return
        self._look_ns = now_ns + LOOK_AT_KEYS_NS
        for keeper in {door.doorkeeper for door in self._doors if door.doorkeeper is not None}:
            keeper.look()
        for connection, keeper in list(self._keyed.values()):
            key = connection.stream.key
            if key is not None and not keeper.still_lets_in(key):
                connection.cut_off("its key was revoked, or has another role now")

    def _note_refusal(self, why: str) -> None:
        are_open = f"{len(self._connections)} are open, and " if why == NO_ROOM else ""
        self._refusals.note(f"connections are refused on the link {self._name!r}: {are_open}{why}")

    def _cut_off(self, connection: PeerConnection, why: str) -> None:
        connection.end(self._gone)
        self._cuts.note(f"a client on the link {self._name!r} was cut off: {why}; it may connect again")


class Repeated:
    """Logs an event that may happen very often, at most once in LOGGED_NS, with the number of its occurrences."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._count = 0
        self._logged_ns: int | None = None

    def note(self, what: str) -> None:
        """Count one more occurrence, and log it if the last log line is old enough."""
        self._count += 1
        now_ns = self._now_ns()
        if self._logged_ns is None or now_ns - self._logged_ns >= LOGGED_NS:
            self._logged_ns = now_ns
            log.warning("%s (%d times so far)", what, self._count)
