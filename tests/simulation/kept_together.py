"""Every seventh seed keeps prefixes together and lets them split again, while operators split wherever they like.

The others are as if there were no such requests.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from shardstore.wire.admin_messages import Action

if TYPE_CHECKING:
    from tests.simulation.swarm import Swarm

SEEDS = 7
PREFIX_ACTIONS: Final = (Action.KEEP_TOGETHER.value, Action.LET_SPLIT.value)
WANTED: Final = ("split", "split", "merge", "merge", *PREFIX_ACTIONS[:1] * 3, *PREFIX_ACTIONS[1:])
PREFIX_BYTES_MAX = 3


def with_kept_together(swarm: Swarm) -> Swarm:
    """The swarm with these requests, if its seed is one of them."""
    if swarm.seed % SEEDS != SEEDS - 1:
        return swarm
    return replace(swarm, topology_changes=(*swarm.topology_changes, *WANTED))
