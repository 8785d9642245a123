"""Every 37th seed has operators that resolve changes under way, whether these can go on or not.

They are told first what may be lost. The oracle lets that be lost, until the children that take its place accept
writes, and nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from shardstore.key_range import KeyRange
from shardstore.router.change_stage import Stage
from shardstore.router.core import RouterCore
from shardstore.wire.admin_messages import Action, AdminRequest
from shardstore.wire.topology import Resolution

if TYPE_CHECKING:
    from tests.simulation.counters import Counters
    from tests.simulation.oracle import Oracle
    from tests.simulation.swarm import Swarm

SEEDS = 37
RESOLVE: Final = Action.RESOLVE.value
WANTED: Final = ("split", "merge", "move", "move", *(RESOLVE,) * 4)
_BEFORE_WRITES = (Stage.PENDING, Stage.FENCED)


def with_resolutions(swarm: Swarm) -> Swarm:
    """The swarm with such operators, if its seed is one of them."""
    if swarm.seed % SEEDS != SEEDS - 1:
        return swarm
    return replace(swarm, topology_changes=(*swarm.topology_changes, *WANTED))


def some_resolution(router: RouterCore, rng: random.Random) -> AdminRequest | None:
    """The request to resolve a change under way; None if there is none."""
    numbers = [*router._changes._under_way]
    if not numbers:
        return None
    return AdminRequest(RESOLVE, change=rng.choice(numbers), resolution=str(rng.choice(list(Resolution))))


class Losses:
    """What operators were told that it may be lost, by the number of the change that is to go on."""

    def __init__(self, oracle: Oracle, counters: Counters) -> None:
        self._oracle = oracle
        self._counters = counters
        self._told: dict[int, list[KeyRange]] = {}
        self._adopted: set[int] = set()
        self._resolved: set[int] = set()
        self.count = 0

    def follow(self, core: RouterCore) -> None:
        """Tell the oracle what operators were told, and when nothing of it can be lost any more."""
        changes = core._changes._under_way
        for number, under_way in changes.items():
            told = [KeyRange(each.start, each.end) for each in under_way.may_lose]
            if under_way.change.resolution and number not in self._resolved and not under_way.begun_ns:
                # the router that told them died while it published the resolution
                told = [each.key_range for each in under_way.change.abandoned]
            self._resolved |= {number} if under_way.change.resolution else set()
            if told and told != self._told.get(number):
                self._told[number] = told
                self.count += 1
                self._counters.may_lose(_within(self._counters.keys, told))
                self._oracle.may_lose(_within(self._oracle.keys, told))
                if number in self._adopted:
                    self._oracle.has_lost(_within(self._oracle.keys, told))
        for number in [each for each in self._told if each not in self._adopted]:
            if number not in changes or changes[number].stage not in _BEFORE_WRITES:
                self._oracle.has_lost(_within(self._oracle.keys, self._told[number]))
        self._adopted |= {number for number, each in changes.items() if each.stage not in _BEFORE_WRITES}
        for number in [each for each in self._told if each not in changes]:
            del self._told[number]


def _within(keys: Iterable[bytes], ranges: Iterable[KeyRange]) -> list[bytes]:
    ranges = list(ranges)
    return [key for key in keys if any(key in each for each in ranges)]
