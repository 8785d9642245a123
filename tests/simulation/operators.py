"""Operators that request topology changes in a simulation, and faults that strike a change under way."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

from shardstore.limits import SECOND_NS
from shardstore.router.change_stage import Stage
from shardstore.router.core import RouterCore
from shardstore.seams.effects import Received
from shardstore.wire.admin_messages import Action, AdminRequest
from shardstore.wire.link_names import CLIENTS
from shardstore.wire.messages import encode
from shardstore.wire.topology import ChangeKind
from shardstore.wire.wire_format import Header, Op
from tests.simulation.kept_together import PREFIX_ACTIONS, PREFIX_BYTES_MAX
from tests.simulation.resolutions import RESOLVE, some_resolution
from tests.simulation.servers import Router, Server, Worker
from tests.simulation.swarm import Swarm

WORKERS_MAX = 4
"""Operators add no more workers than this."""
OPERATOR = 2**40
"""The client id of operators."""
CALLS_MAX = 6
"""Maximum number of file calls until a crash."""
PAUSES_NS = (SECOND_NS // 10, SECOND_NS, 7 * SECOND_NS)
"""The last is longer than the router waits for a silent worker, and longer than a scan may isolate a range."""


class Operators:
    """Operators that request changes, useful or not."""

    def __init__(self, swarm: Swarm, rng: random.Random) -> None:
        self._swarm = swarm
        self._random = rng
        self._sequence = 0
        self.let_split: set[bytes] = set()
        """The prefixes that may have been let split."""

    def ask(self, router: Router, workers: Sequence[int], actions: Sequence[str]) -> None:
        """Request one of these actions from the router."""
        rng = self._random
        request: AdminRequest | None = AdminRequest(
            rng.choice(actions), rng.choice((*self._swarm.keys, rng.randbytes(3))), rng.choice(workers)
        )
        assert request is not None
        if request.action == RESOLVE:
            core = router.core
            request = some_resolution(core, rng) if isinstance(core, RouterCore) and router.alive else None
            if request is None:
                return
        if request.action in PREFIX_ACTIONS:
            prefix = request.key[: rng.randint(1, PREFIX_BYTES_MAX)]
            request = replace(request, key=prefix)
            self.let_split |= {prefix} if request.action == Action.LET_SPLIT else set()
        has_enough = request.action == "add_worker" and len(workers) >= WORKERS_MAX
        if router.alive and router.loop is not None and not has_enough:
            self._sequence += 1
            header = Header(Op.ADMIN, client=OPERATOR, sequence=self._sequence, duration_ms=1_000).encode()
            router.loop.post(Received(CLIENTS, b"operator", [header, encode(request)]))
            router.schedule()

    def changes_wanted(self) -> list[str]:
        """The actions of the swarm that begin a change at once."""
        return [action for action in self._swarm.topology_changes if action in list(ChangeKind)]


def stage_of(router: Router, change: int) -> Stage | None:
    """The stage of a change according to the router; None if it does not know the change or is down."""
    core = router.core
    under_way = core._changes._under_way.get(change) if isinstance(core, RouterCore) and router.alive else None
    return under_way.stage if under_way else None


def strike(rng: random.Random, router: Router, sources: Iterable[Server], targets: Iterable[Server]) -> None:
    """End, crash or pause the servers of a change: one, some or all of them."""
    sources, targets = [*sources], [*targets]
    struck = rng.choice(([router], sources, targets, [*sources, *targets], [router, *sources, *targets]))
    how = rng.choice(("kill", "kill", "crash", "crash maintenance", "pause"))
    for server in dict.fromkeys(struck):
        if how == "kill":
            server.end("killed")
        elif how == "pause":
            server.pause(rng.choice(PAUSES_NS))
        elif how == "crash" or not isinstance(server, Worker):
            server.filesystem.crash_in = rng.randint(1, CALLS_MAX)
        elif server.maintenance is not None:
            server.maintenance.filesystem.crash_in = rng.randint(1, CALLS_MAX)
