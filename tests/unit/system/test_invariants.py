"""What is promised of the memory of peers is checked: the check finds each promise that is broken by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shardstore.system.traffic import SURPLUS_BYTES, HeldBytes
from tests.unit.system.test_traffic import World


@pytest.fixture
def world() -> World:
    """Two peers leave replies unread, one after the other."""
    world = World(3)
    world.unsent(0, 10)
    world.time_ns += 1
    world.unsent(1, 20)
    return world


def unsent(world: World) -> HeldBytes:
    return world.traffic.unsent


BREAKS: dict[str, Callable[[World], object]] = {
    # HeldBytes
    "bytes of peers are miscounted": lambda world: setattr(unsent(world), "bytes", 0),
    "a peer is kept that holds nothing": lambda world: unsent(world).peers.update({world.peers[2]: 0}),
    "peers hold more than is allowed": lambda world: setattr(unsent(world), "_bytes_max", -SURPLUS_BYTES),
    "peers are out of order": lambda world: unsent(world).peers.update(
        {world.peers[0]: unsent(world).peers.pop(world.peers[0])}
    ),
    "the peer that has held bytes for longest is not the first": lambda world: unsent(world)._since.update(
        {world.peers[0]: world.time_ns + 1}
    ),
    # Traffic
    "a peer that has left is kept": lambda world: world.traffic._peers.clear(),
}
"""What breaks a promise, by the words with which the check fails."""


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_found(world: World, what: str) -> None:
    world.traffic.check_invariants()
    BREAKS[what](world)
    with pytest.raises(AssertionError, match=what):
        world.traffic.check_invariants()
