"""Which peers are disconnected when all peers together hold too much memory, and which are not."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.limits import MIB, SECOND_NS
from shardstore.system.traffic import (
    ARRIVING_NS,
    GREETINGS,
    SILENT_NS,
    SURPLUS_BYTES,
    SWEEP_NS,
    UNSENT_NS,
    Terms,
    Traffic,
)

TERMS = Terms(unsent_bytes=100 * MIB, arriving_bytes=100 * MIB)
MOST = 200 * MIB + SURPLUS_BYTES


@dataclass(eq=False)
class FakePeer:
    """A peer that leaves when it is disconnected."""

    traffic: Traffic
    reasons: list[str] = field(default_factory=list)

    def cut_off(self, why: str) -> None:
        """Record the disconnection, and leave."""
        self.reasons.append(why)
        self.traffic.left(self)


class World:
    """Traffic, its peers, and a clock."""

    def __init__(self, peers: int, terms: Terms = TERMS) -> None:
        self.time_ns = 10 * SECOND_NS
        self.traffic = Traffic(terms, lambda: self.time_ns)
        self.peers = [FakePeer(self.traffic) for _ in range(peers)]
        for peer in self.peers:
            self.traffic.came(peer)
            self.traffic.spoke(peer)

    def unsent(self, number: int, held_mib: int) -> None:
        self.hold(number, held_mib * MIB, 0)

    def arriving(self, number: int, held_mib: int) -> None:
        self.hold(number, 0, held_mib * MIB)

    def hold(self, number: int, unsent_bytes: int, arrived_bytes: int) -> None:
        self.traffic.holds(self.peers[number], unsent_bytes, arrived_bytes)
        self.traffic.check_invariants()

    def sweep_after(self, passed_ns: int) -> None:
        self.time_ns += passed_ns
        self.traffic.sweep()
        self.traffic.check_invariants()

    @property
    def cut_off(self) -> list[int]:
        return [number for number, peer in enumerate(self.peers) if peer.reasons]


def test_a_slow_reader_stays_while_there_is_room() -> None:
    world = World(2)
    world.unsent(0, 100)
    world.sweep_after(3600 * SECOND_NS)
    assert world.cut_off == []
    assert world.traffic.is_watched()


@pytest.mark.fault("C5", "N2")
def test_beyond_the_bound_who_has_not_read_for_longest_is_cut_off_in_time() -> None:
    world = World(3)
    world.unsent(0, 60)
    world.time_ns += UNSENT_NS // 2
    world.unsent(1, 60)
    world.sweep_after(UNSENT_NS // 2 - 1)
    assert world.cut_off == []
    world.sweep_after(SWEEP_NS)
    assert world.cut_off == [0]
    assert "125,829,120 bytes of unread replies, 104,857,600 are allowed" in world.peers[0].reasons[0]
    assert world.traffic.unsent.bytes == 60 * MIB


def test_who_reads_meanwhile_is_not_cut_off_however_much_it_has_read() -> None:
    world = World(2)
    world.unsent(0, 60)
    world.unsent(1, 60)
    for _ in range(20):
        world.time_ns += UNSENT_NS // 2
        world.unsent(1, 0)
        world.unsent(1, 60)
        world.traffic.sweep()
    assert world.cut_off == [0]


def test_beyond_twice_the_bound_nobody_waits() -> None:
    world = World(4)
    for number in range(4):
        world.unsent(number, 80)
    assert world.cut_off == [0, 1]
    assert world.traffic.unsent.bytes == 160 * MIB


def test_the_only_one_that_holds_anything_is_left_its_time() -> None:
    world = World(1)
    world.unsent(0, 300)
    assert world.cut_off == []
    world.sweep_after(UNSENT_NS)
    assert world.cut_off == [0]


def test_messages_that_come_in_part_are_bounded_alike() -> None:
    world = World(2)
    world.arriving(0, 60)
    world.arriving(1, 60)
    world.sweep_after(ARRIVING_NS)
    assert world.cut_off == [0]
    assert "of incomplete messages" in world.peers[0].reasons[0]


def test_who_says_nothing_is_closed_and_who_has_spoken_may_be_silent() -> None:
    world = World(1)
    silent = FakePeer(world.traffic)
    world.traffic.came(silent)
    world.sweep_after(SILENT_NS - 1)
    assert silent.reasons == []
    world.sweep_after(SWEEP_NS)
    assert silent.reasons == ["it sends nothing"]
    assert world.cut_off == []
    assert not world.traffic.is_watched()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 90), st.integers(0, 90))))
def test_what_is_counted_is_what_is_held(steps: list[tuple[int, int, int]]) -> None:
    world = World(5)
    held = dict.fromkeys(range(5), (0, 0))
    for number, unsent, arriving in steps:
        held[number] = (unsent, arriving)
        world.traffic.holds(world.peers[number], unsent * MIB, arriving * MIB)
        for gone in world.cut_off:
            held[gone] = (0, 0)
            world.peers[gone].reasons.clear()
            world.traffic.came(world.peers[gone])
        world.traffic.check_invariants()
        assert world.traffic.unsent.bytes == MIB * sum(unsent for unsent, _ in held.values()) <= MOST
        assert world.traffic.arriving.bytes == MIB * sum(arriving for _, arriving in held.values()) <= MOST


@pytest.mark.parametrize("kind", ["unsent", "arriving"])
def test_who_left_holds_nothing(kind: str) -> None:
    world = World(1)
    getattr(world, kind)(0, 50)
    world.traffic.left(world.peers[0])
    world.traffic.check_invariants()
    assert (world.traffic.unsent.bytes, world.traffic.arriving.bytes) == (0, 0)
    assert not world.traffic.is_watched()


def test_of_too_many_silent_peers_the_oldest_is_cut_off() -> None:
    world = World(0, Terms(silent_max=3))
    peers = [FakePeer(world.traffic) for _ in range(6)]
    for peer in peers[:3]:
        world.traffic.came(peer)
    world.traffic.spoke(peers[1])
    for peer in peers[3:]:
        world.traffic.came(peer)
        world.traffic.check_invariants()
    assert [len(peer.reasons) for peer in peers] == [1, 0, 1, 0, 0, 0]
    assert peers[0].reasons == ["3 connections have not sent anything yet"]


def test_only_some_silent_peers_are_read_in_a_turn() -> None:
    world = World(0)
    for _ in range(3):
        assert [world.traffic.may_greet() for _ in range(GREETINGS + 2)] == [True] * GREETINGS + [False] * 2
        world.sweep_after(1)
