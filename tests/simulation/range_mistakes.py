"""Mistakes in deletions and counts of whole ranges."""

from __future__ import annotations

from collections.abc import Sequence

from shardstore import workers
from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.tables import counting
from shardstore.tables.key_ranges import NO_KEYS, KeyRanges
from shardstore.tables.stretches import KeysAlone, Ordered
from shardstore.workers.board.range_slot import RangeSlot
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.overlay.overlay import Overlay
from shardstore.workers.overlay.pin import Pin
from shardstore.workers.ranges import owned_range, range_view
from tests.simulation.mistakes import Mistake
from tests.simulation.swarm import Patch


def _look_below(layer: ActiveLayer, keys: Sequence[bytes]) -> list[Stored | None]:
    """A lookup finds what older layers hold of deleted keys."""
    return list(map(layer.entries.get, keys))


def _show_all(oldest_to_newest: Sequence[tuple[Ordered, KeyRanges]], wanted: KeyRange) -> list[Ordered]:
    """A scan shows what older layers hold of deleted keys."""
    return [layer for layer, _ in oldest_to_newest]


def _clear_below_only(layer: ActiveLayer, key_range: KeyRange, lsn: int) -> int:
    """The layer itself keeps its entries."""
    cleared = layer.cleared.with_range(key_range)
    grown_bytes = cleared.size_bytes - layer.cleared.size_bytes
    layer.cleared = cleared
    layer.size_bytes += grown_bytes
    layer.lsn_first = layer.lsn_first or lsn
    return grown_bytes


def _readable_without_clears(pin: Pin) -> list[tuple[Ordered, KeyRanges]]:
    """A pinned view forgets what was deleted before it was pinned, once the runs are in tables."""
    return [(layer, NO_KEYS) for layer, _ in _readable(pin)]


_readable = Pin.readable


def _forget_at_the_seal(overlay: Overlay, lsn_last: int) -> None:
    """A run no longer hides anything."""
    _seal(overlay, lsn_last)
    for run in overlay.runs:
        run.layer.size_bytes -= run.layer.cleared.size_bytes
        run.layer.cleared = NO_KEYS


_seal = Overlay.seal


def _is_empty(overlay: Overlay) -> bool:
    """Whatever it hides."""
    return bool(len(overlay))


def _nothing_hides(oldest_to_newest: Sequence[Sequence[KeysAlone]]) -> int:
    """A key counts in each layer that has a value of it."""
    return sum([counting._count_living(keys) for layer in oldest_to_newest for keys in layer])


NEEDS = ("whole ranges",)
RANGE_MISTAKES: dict[str, Mistake] = {
    "a layer ignores a range deletion in lookups": Mistake(
        (Patch(ActiveLayer, "get_many", _look_below),), needs=NEEDS, first_seed=47
    ),
    "a layer ignores a range deletion in scans": Mistake(
        (Patch(owned_range, "uncleared", _show_all), Patch(range_view, "uncleared", _show_all)),
        needs=NEEDS,
        first_seed=5,
    ),
    "a range deletion leaves the entries of its own layer": Mistake(
        (Patch(ActiveLayer, "clear", _clear_below_only),), needs=NEEDS, first_seed=11
    ),
    "a run forgets what it has cleared": Mistake(
        (Patch(Overlay, "seal", _forget_at_the_seal),), needs=NEEDS, first_seed=5
    ),
    "a view forgets what its runs had cleared": Mistake(
        (Patch(Pin, "readable", _readable_without_clears),), needs=NEEDS, first_seed=59
    ),
    "a range deletion leaves the filter of the board as it is": Mistake(
        (Patch(RangeSlot, "note_clear", lambda slot: None),), needs=NEEDS, first_seed=11
    ),
    "a drain leaves tables as they are": Mistake(
        (
            Patch(workers.jobs.drain, "to_be_cut", lambda *_: NO_KEYS),
            Patch(workers.jobs.drain, "tombstones_of", lambda *_: ()),
        ),
        needs=NEEDS,
        first_seed=5,
    ),
    "a drain keeps what later records have cleared": Mistake(
        (Patch(workers.jobs.drained_entries, "without", lambda entries, cleared: entries),), needs=NEEDS, first_seed=5
    ),
    "a compaction goes on with tables that were cut": Mistake(
        (Patch(workers.jobs.compact, "_has_inputs", lambda *_: True),), needs=NEEDS, first_seed=1_697
    ),
    "an overlay without entries counts as empty": Mistake(
        (Patch(Overlay, "__bool__", _is_empty),), needs=NEEDS, first_seed=5
    ),
    "a count takes hidden keys for living ones": Mistake(
        (Patch(counting, "_living", _nothing_hides),), needs=NEEDS, first_seed=5
    ),
}
