"""Clients and peers are known one to one, and at most so many."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shardstore.limits import WORKERS_MAX
from shardstore.router.known_clients import KnownClients

CLIENTS = st.integers(1, 6)
PEERS = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
CLIENTS_MAX = 3


class Extreme:
    """An entropy source that returns the highest or the lowest number."""

    def __init__(self, highest: bool) -> None:
        self._highest = highest

    def below(self, bound: int) -> int:
        """A number in [0, bound)."""
        return bound - 1 if self._highest else 0


class KnownClientsMachine(RuleBasedStateMachine):
    """KnownClients against a model: a list of pairs, newest last."""

    def __init__(self) -> None:
        super().__init__()
        self.clients = KnownClients(Extreme(True), CLIENTS_MAX)
        self.model: list[tuple[int, bytes]] = []

    @rule(client=CLIENTS, peer=PEERS)
    def learn(self, client: int, peer: bytes) -> None:
        self.clients.learn(client, peer)
        self.model = [pair for pair in self.model if client != pair[0] and peer != pair[1]]
        self.model = [*self.model, (client, peer)][-CLIENTS_MAX:]

    @rule(peer=PEERS)
    def forget(self, peer: bytes) -> None:
        self.clients.forget_peer(peer)
        self.model = [pair for pair in self.model if peer != pair[1]]

    @invariant()
    def peers_are_those_of_the_model(self) -> None:
        assert list(self.clients.peers()) == [peer for _, peer in self.model]
        assert len(self.clients) == len(self.model)
        self.clients.check_invariants()


TestKnownClients = KnownClientsMachine.TestCase
TestKnownClients.settings = settings(max_examples=60, stateful_step_count=30)


def test_a_client_id_is_a_positive_number_of_64_bits() -> None:
    assert KnownClients(Extreme(False)).issue(b"a") == 1 + WORKERS_MAX
    assert KnownClients(Extreme(True)).issue(b"a") == 2**64 - 1
