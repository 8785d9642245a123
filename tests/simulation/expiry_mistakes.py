"""Mistakes about values that expire, to be planted like those of mistakes.py."""

from __future__ import annotations

from itertools import compress
from typing import Any

import numpy as np

from shardstore.client.direct.readable_range import ReadableRange
from shardstore.identifiers import Expiring, Stored
from shardstore.seams.effects import Effect
from shardstore.tables.column_items import as_list
from shardstore.tables.table_format import Entries
from shardstore.wire.topology import Order
from shardstore.workers.board.worker_board import WorkerBoard
from shardstore.workers.jobs import merged_entries
from shardstore.workers.jobs.specs import ReleaseSpec
from shardstore.workers.maintenance.kinds import releases
from shardstore.workers.serving import write_path
from shardstore.workers.serving.hybrid_clock import HybridClock
from shardstore.workers.serving.write_path import WritePath
from shardstore.workers.topology.local_changes import LocalChanges
from shardstore.workers.wal.writer import WalWriter
from tests.simulation.mistakes import Mistake
from tests.simulation.swarm import Patch


def _by_the_wall(clock: HybridClock) -> int:
    """Values expire by a clock that goes back."""
    return clock._wall.now_ms()


def _without_expired(entries: Entries, now_ms: int) -> Entries:
    """An expired value is dropped although it hides an older one."""
    if isinstance(entries.values, np.ndarray):
        return entries
    kept = [type(each) is not Expiring or each.moment > now_ms for each in entries.values]
    return Entries(list(compress(as_list(entries.keys), kept)), list(compress(entries.values, kept)))


def _grant_and_log_nothing(clock: HybridClock, wal: WalWriter, is_granted_at_once: bool) -> bool:
    """The clock runs on without a lease."""
    clock.granted_ms = max(clock.granted_ms, clock.lease_wanted())
    return False


def _without_clock(*fields: Any) -> ReleaseSpec:
    """Nor does LOG hold it when files are released."""
    *others, _ = fields
    return ReleaseSpec(*others)


def _reach_nothing(changes: LocalChanges, order: Order, writes: WritePath) -> list[Effect]:
    """A new owner does not learn how far the clock of the former one was."""
    return []


def _shown_by_the_reader(readable: ReadableRange, stored: Stored | None, in_doubt: object) -> object:
    """A client judges by its own clock alone."""
    if type(stored) is not Expiring:
        return _shown(readable, stored, in_doubt)
    return stored.value if readable._wall.now_ms() < stored.moment else None


_shown = ReadableRange._shown


EXPIRY_MISTAKES: dict[str, Mistake] = {
    "expires by a clock that goes back": Mistake(
        (Patch(HybridClock, "now_ms", _by_the_wall),), needs=("walls jump",), first_seed=32
    ),
    "drops an expired value above an older one": Mistake(
        (Patch(merged_entries, "with_tombstones_for_expired", _without_expired),), needs=("expiry",), first_seed=68
    ),
    "keeps no lease of its clock": Mistake(
        (Patch(write_path, "log_lease", _grant_and_log_nothing), Patch(releases, "ReleaseSpec", _without_clock)),
        needs=("walls jump", "kill worker"),
        first_seed=1_874,
    ),
    "shows no clock on the board": Mistake(
        (Patch(WorkerBoard, "show_clock", lambda board, now_ms: None),), needs=("walls jump",), first_seed=32
    ),
    "reads directly by the clock of the client": Mistake(
        (Patch(ReadableRange, "_shown", _shown_by_the_reader),), needs=("walls jump",), first_seed=32
    ),
    "begins a child by a clock of its own": Mistake(
        (Patch(LocalChanges, "_reach", _reach_nothing), Patch(HybridClock, "has_reached", lambda clock, moment: True)),
        needs=("walls jump",),
        first_seed=1_106,
    ),
}
