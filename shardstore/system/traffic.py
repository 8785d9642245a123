"""Limits the memory that the connections of one listener take, by cutting off peers.

    unsent     replies that peers have not read              limit: Terms.unsent_bytes
    arriving   messages that have not arrived completely     limit: Terms.arriving_bytes
    silent     connections that have not sent anything yet, or whose handshake is under way
                                                              limits: Terms.silent_ns each, Terms.silent_max, GREETINGS

When a limit of bytes is exceeded, the peers that have held bytes for longest are cut off, but only after a time that a
peer which is merely busy does not need. Above twice the limit plus the longest reply, they are cut off at once. A peer
that was cut off connects again and repeats its unanswered requests.

When too many connections are silent, the oldest of them is cut off: a handshake takes a moment, so that one has most
likely no client behind it. And only a few of them are read in each turn, since a step of a handshake takes about as
long as ten requests.
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
GREETINGS = 8
"""Silent connections that are read in one turn."""
SURPLUS_BYTES = REPLY_BYTES_AIM + VALUE_BYTES_MAX
"""A server stops reading when its limit is reached, but the last reply before that may exceed it by this much."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a listener allows its peers.

    unsent_bytes      unread replies of all peers
    arriving_bytes    incomplete messages of all peers
    pause_bytes       no requests are read of a peer with more unread replies than this
    at_once           messages of one peer that are taken in one turn
    silent_ns         how long a peer may wait after connecting before it sends anything, or has proved its key
    silent_max        so many peers may be silent at a time
    descriptors_max   connections with a higher descriptor are refused: the others are reserved for files
    bytes_max_of      function that returns the maximum size of a message, given its first frame
    """

    unsent_bytes: int = OUTBOX_BYTES_MAX
    arriving_bytes: int = MESSAGE_BYTES_MAX
    pause_bytes: int = REPLY_BYTES_AIM
    at_once: int = 1
    silent_ns: int = SILENT_NS
    silent_max: int = 512
    descriptors_max: int = 2**31
    bytes_max_of: Callable[[bytes], int] = request_bytes_max


TERMS = Terms()
"""The default terms."""


class Peer(Protocol):
    """A connection whose memory is counted."""

    def cut_off(self, why: str) -> None:
        """Close the connection for this reason, and report that the peer is gone."""


class HeldBytes:
    """Bytes of one kind that peers hold. Peers are in the order in which they began to hold any.

    Invariants: `bytes` is the sum over the peers, each of which holds some; it exceeds what is cut off at once only if
    one peer holds all; the peers and the times since when they hold any are in the same order.
    """

    def __init__(self, what: str, bytes_max: int, patience_ns: int) -> None:
        self.bytes = 0
        self._what = what
        self._patience_ns = patience_ns
        self.peers: dict[Peer, int] = {}
        self._since: dict[Peer, int] = {}
        self._bytes_max = bytes_max

    def note(self, peer: Peer, held_bytes: int, now_ns: Callable[[], int]) -> None:
        """Set how many bytes the peer holds now. May cut off the peers that have held bytes for longest."""
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
        """While the limit is exceeded, cut off peers that have held bytes for too long."""
        while self.bytes > self._bytes_max:
            oldest = next(iter(self.peers))
            if now_ns - self._since[oldest] < self._patience_ns:
                return
            self._cut_off(oldest)

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        assert self.bytes == sum(self.peers.values()), "bytes of peers are miscounted"
        assert all(self.peers.values()), "a peer is kept that holds nothing"
        is_bounded = self.bytes <= 2 * self._bytes_max + SURPLUS_BYTES
        assert is_bounded or len(self.peers) == 1, "peers hold more than is allowed"
        assert [*self._since] == [*self.peers], "peers are out of order"
        since_ns = [*self._since.values()]
        assert since_ns == sorted(since_ns), "the peer that has held bytes for longest is not the first"

    def _cut_off(self, peer: Peer) -> None:
        peer.cut_off(f"{self.bytes:,} bytes {self._what}, {self._bytes_max:,} are allowed")


class Traffic:
    """Everything that the connections of one listener hold, and how long they have been silent.

    Invariant: a peer that is silent or holds bytes is connected.
    """

    def __init__(self, terms: Terms, now_ns: Callable[[], int]) -> None:
        self.terms = terms
        self.unsent = HeldBytes("of unread replies", terms.unsent_bytes, UNSENT_NS)
        self.arriving = HeldBytes("of incomplete messages", terms.arriving_bytes, ARRIVING_NS)
        self._peers: set[Peer] = set()
        self._silent: dict[Peer, int] = {}
        self._greetings_left = GREETINGS
        self._now_ns = now_ns
        self._swept_ns = 0

    def came(self, peer: Peer) -> None:
        """Add a peer that has connected. It counts as silent. May cut off the peer that is silent for longest."""
        if len(self._silent) >= self.terms.silent_max:
            next(iter(self._silent)).cut_off(f"{len(self._silent)} connections have not sent anything yet")
        self._peers.add(peer)
        self._silent[peer] = self._now_ns()

    def spoke(self, peer: Peer) -> None:
        """Note that the peer has sent a complete message or a sign of life."""
        self._silent.pop(peer, None)

    def may_greet(self) -> bool:
        """Whether one more silent peer may be read in this turn."""
        self._greetings_left -= 1
        return self._greetings_left >= 0

    def holds(self, peer: Peer, unsent_bytes: int, arrived_bytes: int) -> None:
        """Set how many bytes the peer holds now. May cut off any peer, including this one."""
        self.unsent.note(peer, unsent_bytes, self._now_ns)
        if peer in self._peers:
            self.arriving.note(peer, arrived_bytes, self._now_ns)

    def left(self, peer: Peer) -> None:
        """Remove a peer whose connection is closed."""
        self._silent.pop(peer, None)
        self.holds(peer, 0, 0)
        self._peers.discard(peer)

    def is_watched(self) -> bool:
        """Whether any connection may have to be cut off as time passes."""
        return bool(self._silent or self.unsent.bytes or self.arriving.bytes)

    def sweep(self) -> None:
        """Begin a turn: cut off peers that have held bytes, or were silent, for too long, at most once in SWEEP_NS."""
        self._greetings_left = GREETINGS
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
            peer.cut_off("it sends nothing")

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class, or of the bytes of a kind, does not hold."""
        self.unsent.check_invariants()
        self.arriving.check_invariants()
        held = self._silent.keys() | self.unsent.peers.keys() | self.arriving.peers.keys()
        assert held <= self._peers, "a peer that has left is kept"
        assert len(self._silent) <= self.terms.silent_max, "too many peers are silent"
