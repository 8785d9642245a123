"""The clients, and the peer of each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from shardstore.identifiers import ClientId
from shardstore.limits import WORKERS_MAX
from shardstore.seams.entropy import Entropy

CLIENTS_MAX = 65_536
_CLIENT_IDS = 2**64 - 1 - WORKERS_MAX


class KnownClients:
    """The clients and their peers, one to one, up to `clients_max`; those that were silent longest are dropped.

    Any request of a client adds it, so a restarted router learns its clients again. A dropped client only misses
    announcements of routes.

    Invariants: each client is the client of its peer, and each peer that of its client; there are at most
    `clients_max`.
    """

    def __init__(self, entropy: Entropy, clients_max: int = CLIENTS_MAX) -> None:
        self._entropy = entropy
        self._clients_max = clients_max
        self._peers: OrderedDict[int, bytes] = OrderedDict()
        self._clients: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def issue(self, peer: bytes) -> ClientId:
        """Return a new id for the client of this peer. Ids are random, so that no client can act as another one."""
        client = ClientId(self._entropy.below(_CLIENT_IDS) + 1 + WORKERS_MAX)
        self.learn(client, peer)
        return client

    def learn(self, client: int, peer: bytes) -> None:
        """Note that a client has just sent a message from this peer."""
        if self._peers.get(client) == peer:
            self._peers.move_to_end(client)
            return
        self.forget_peer(peer)
        self._clients.pop(self._peers.pop(client, b""), None)
        self._peers[client] = peer
        self._clients[peer] = client
        if len(self._peers) > self._clients_max:
            self._clients.pop(self._peers.popitem(last=False)[1])

    def forget_peer(self, peer: bytes) -> None:
        """Remove the client of a peer that has disconnected."""
        client = self._clients.pop(peer, None)
        if client is not None:
            del self._peers[client]

    def peers(self) -> Iterable[bytes]:
        """Return the peers of all known clients."""
        return self._peers.values()

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        assert len(self._peers) <= self._clients_max, "too many clients are known"
        assert len(self._clients) == len(self._peers), "a peer has no client any more"
        for client, peer in self._peers.items():
            assert self._clients.get(peer) == client, f"the peer of client {client} is that of another one"
