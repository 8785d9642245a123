"""Mistakes in direct reads, to be planted like those of mistakes.py.

A turn of a worker is one step in a simulation, so these are mistakes that show between turns. The order of the stores
within one turn is tested in tests/unit/workers/board.
"""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.client.calls.batch_pieces import Boundaries
from shardstore.client.direct.direct_reads import DirectReads
from shardstore.client.direct.readable_range import ReadableRange
from shardstore.tables.digests import digest_of
from shardstore.tables.not_ready import NOT_READY, NotReady
from shardstore.wire.route_map import RouteMap
from shardstore.workers.board import range_slot
from shardstore.workers.board.range_slot import RangeSlot
from shardstore.workers.jobs.specs import DrainSpec
from shardstore.workers.maintenance.kinds.drains import Drains
from shardstore.workers.ranges.owned_range import OwnedRange
from tests.simulation.mistakes import Mistake
from tests.simulation.sim_boards import SimBoard
from tests.simulation.swarm import Patch


def _note_no_batch(slot: RangeSlot, keys: Sequence[bytes]) -> None:
    """A batch does not show on the board."""
    if len(keys) <= 1:
        _note(slot, keys)


_note = RangeSlot.note


def _open_as_if_empty(slot: RangeSlot, epoch: int, version: int, *in_memory: object) -> None:
    """Replayed writes that are in no table yet do not show on the board."""
    _open(slot, epoch, version, has_active=False, has_runs=False)


_open = RangeSlot.open


def _seal_as_drained(slot: RangeSlot) -> None:
    """The filter is dropped when the layer is sealed, although no table has its keys."""
    slot.drop(has_active=False, has_runs=False)


def _begin_as_ended(drains: Drains, now_ns: int) -> DrainSpec | None:
    """The slot names the next version, and none of the runs, before that version is published."""
    spec = _next_spec(drains, now_ns)
    for drain in spec.drains if spec is not None else ():
        owned = drains._ranges[drain.segment]
        if owned.slot is not None and owned.segment is not None:
            owned.slot.take_version(owned.segment.manifest.version + 1)
            owned.slot.drop(bool(owned.overlay.active.lsn_first), has_runs=False)
    return spec


_next_spec = Drains.next_spec


def _fence_and_leave_open(owned: OwnedRange, lsn: int) -> None:
    """The slot of a fenced range stays open."""
    slot, owned.slot = owned.slot, None
    _fence(owned, lsn)
    owned.slot = slot


_fence = OwnedRange.fence


def _read_at_the_former_look(readable: ReadableRange, key: bytes) -> bytes | NotReady | None:
    """A slot that was looked at once is never looked at again."""
    look, digest = readable._look, digest_of(key)
    if look is None or any(readable._is_in_memory(named, digest) for named in (look.active, look.sealed)):
        return NOT_READY
    if look.segment is None:
        return NOT_READY
    found = look.segment.get_ready(key, digest)
    return found if found is NOT_READY else readable._shown(found, NOT_READY)


def _follow_the_first(reads: DirectReads, store: str, routes: RouteMap, boundaries: Boundaries) -> None:
    """Not a mistake: the routes of a reader may be as old as they like. With old ones, two mistakes show soon."""
    if reads._followed is None:
        _follow(reads, store, routes, boundaries)


_follow = DirectReads.follow
OLD_ROUTES = Patch(DirectReads, "follow", _follow_the_first)
"""Clients read directly by the first routes that they were told."""
BITS_FOR_BATCHES = Patch(RangeSlot, "_takes", lambda slot, keys: True), Patch(range_slot, "FILTERED_KEYS_MAX", 1)
"""Not a mistake: two keys are a batch, and batches set bits whether clients ask or not."""


DIRECT_READ_MISTAKES: dict[str, Mistake] = {
    "sets the bits of another key": Mistake((Patch(range_slot, "digest_of", lambda key: (0, 0)),), first_seed=5),
    "shows no batch on the board": Mistake((Patch(RangeSlot, "note", _note_no_batch),), first_seed=5),
    "shows no replayed write on the board": Mistake((Patch(RangeSlot, "open", _open_as_if_empty),), first_seed=2),
    "drops the filter of a layer that is not drained": Mistake(
        (Patch(RangeSlot, "seal", _seal_as_drained),), first_seed=9
    ),
    "drops a filter without a new version": Mistake(
        (Patch(RangeSlot, "take_version", lambda slot, version: None),), first_seed=7
    ),
    "names a version before it is published": Mistake((Patch(Drains, "next_spec", _begin_as_ended),), first_seed=9),
    "leaves the slot of a fenced range open": Mistake(
        (Patch(OwnedRange, "fence", _fence_and_leave_open), OLD_ROUTES), first_seed=53
    ),
    "sets no bits for a batch": Mistake(
        (Patch(RangeSlot, "_set_bits", lambda slot, keys: None), *BITS_FOR_BATCHES), first_seed=5
    ),
    "remembers a slot for ever": Mistake((Patch(ReadableRange, "get_ready", _read_at_the_former_look),), first_seed=21),
    "reads by the board of a process that has ended": Mistake(
        (Patch(SimBoard, "is_current", lambda self: True), OLD_ROUTES), first_seed=3010
    ),
}
