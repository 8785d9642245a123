"""What the connections of one listener hold in memory, and who is cut off when it is too much.

    unsent     answers that their readers have not taken    bound: Terms.unsent_bytes
    arriving   messages of which a part has come            bound: Terms.arriving_bytes
    silent     connections that have said nothing yet       bound: Terms.silent_ns each

Beyond a bound of bytes those go that have held some for longest, once that was too long: who is merely busy is faster.
Beyond twice the bound, and the longest answer, they go at once. Who is cut off connects again, and asks again for what
it did not get.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shardstore.limits import (
    MESSAGE_BYTES_MAX,
    MILLISECOND_NS,
    OUTBOX_BYTES_MAX,
    REPLY_BYTES_AIM,
    SECOND_NS,
    VALUE_BYTES_MAX,
)
from shardstore.wire.wire_format import request_bytes_max

UNSENT_NS = 500 * MILLISECOND_NS
ARRIVING_NS = 2 * SECOND_NS
SWEEP_NS = 100 * MILLISECOND_NS
SILENT_NS = 5 * SECOND_NS
SURPLUS_BYTES = REPLY_BYTES_AIM + VALUE_BYTES_MAX
"""A server reads no more when its bound is reached; the answer before may have come on top of that."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a listener allows its peers.

    unsent_bytes      answers of all peers that wait for their readers
    arriving_bytes    messages of all peers of which a part has come
    pause_bytes       a peer with more unsent than this is not listened to
    at_once           messages of one peer that a turn takes
    silent_ns         how long a peer may say nothing after it has connected
    descriptors_max   a connection with a higher descriptor than this is refused: the rest are for files
    bytes_max_of      how long a message may be, by its first frame
    """

    unsent_bytes: int = OUTBOX_BYTES_MAX
    arriving_bytes: int = MESSAGE_BYTES_MAX
    pause_bytes: int = REPLY_BYTES_AIM
    at_once: int = 1
    silent_ns: int = SILENT_NS
    descriptors_max: int = 2**31
    bytes_max_of: Callable[[bytes], int] = request_bytes_max


TERMS = Terms()
"""What is allowed where nothing else is said."""


class Peer(Protocol):
    """One connection, as far as it is counted."""

    def cut_off(self, why: str) -> None:
        """Close it, and tell of its end."""


class Held:
    """Bytes of one kind that connections hold, in the order in which each began to hold any."""

    def __init__(self, what: str, bytes_max: int, patience_ns: int) -> None:
        self.bytes = 0
        self._what = what
        self._patience_ns = patience_ns
        self.peers: dict[Peer, int] = {}
        self._since: dict[Peer, int] = {}
        self._bytes_max = bytes_max

    def note(self, peer: Peer, held_bytes: int, now_ns: Callable[[], int]) -> None:
        """The peer holds so much now. May cut others off."""
        before = self.peers.get(peer, 0)
        if held_bytes == before:
            return
        self.bytes += held_bytes - before
        if not held_bytes:
            del self.peers[peer], self._since[peer]
            return
        if not before:
            self._since[peer] = now_ns()
        self.peers[peer] = held_bytes
        while self.bytes > 2 * self._bytes_max + SURPLUS_BYTES and len(self.peers) > 1:
            self._cut_off(next(iter(self.peers)))

    def sweep(self, now_ns: int) -> None:
        """Cut off who has held too long what is too much."""
        while self.bytes > self._bytes_max:
            oldest = next(iter(self.peers))
            if now_ns - self._since[oldest] < self._patience_ns:
                return
            self._cut_off(oldest)

    def _cut_off(self, peer: Peer) -> None:
        peer.cut_off(f"of {self.bytes:,} bytes {self._what}, allowed are {self._bytes_max:,}")


class Traffic:
    """All that the connections of one listener hold."""

    def __init__(self, terms: Terms, now_ns: Callable[[], int]) -> None:
        self.terms = terms
        self.unsent = Held("that are not read", terms.unsent_bytes, UNSENT_NS)
        self.arriving = Held("of messages that came in part", terms.arriving_bytes, ARRIVING_NS)
        self._peers: set[Peer] = set()
        self._silent: dict[Peer, int] = {}
        self._now_ns = now_ns
        self._swept_ns = 0

    def came(self, peer: Peer) -> None:
        """The peer has connected."""
        self._peers.add(peer)
        self._silent[peer] = self._now_ns()

    def spoke(self, peer: Peer) -> None:
        """The peer has said something whole."""
        self._silent.pop(peer, None)

    def holds(self, peer: Peer, unsent_bytes: int, arrived_bytes: int) -> None:
        """The peer holds so much now. May cut off any, this one too."""
        self.unsent.note(peer, unsent_bytes, self._now_ns)
        if peer in self._peers:
            self.arriving.note(peer, arrived_bytes, self._now_ns)

    def left(self, peer: Peer) -> None:
        """The connection is closed."""
        self._silent.pop(peer, None)
        self.holds(peer, 0, 0)
        self._peers.discard(peer)

    @property
    def is_watched(self) -> bool:
        """Whether time may end a connection."""
        return bool(self._silent or self.unsent.peers or self.arriving.peers)

    def sweep(self) -> None:
        """Cut off whose time is over, now and then."""
        now_ns = self._now_ns()
        if now_ns - self._swept_ns < SWEEP_NS:
            return
        self._swept_ns = now_ns
        self.unsent.sweep(now_ns)
        self.arriving.sweep(now_ns)
        while self._silent:
            peer, since_ns = next(iter(self._silent.items()))
            if now_ns - since_ns < self.terms.silent_ns:
                return
            peer.cut_off("it says nothing")
