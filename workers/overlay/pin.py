"""The layers of an overlay at one moment, for the scans that were opened then. See overlay.py.

    runs and active layer of that moment --> the tables that they are drained into, one after the other

A drain begins another table after the last run of each pin (Overlay.table_ends). So a table made of runs of a pin holds
nothing that is newer than the pin, and can take the place of those runs. Tombstones that the table leaves out hide
nothing in older layers, neither for the pin nor for the range.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple, Protocol, TypeAlias

from shardstore.tables.key_ranges import NO_KEYS, KeyRanges
from shardstore.tables.stretches import Ordered
from shardstore.tables.table_format import TableRecord
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.overlay.immutable_run import ImmutableRun


class DrainedRuns(NamedTuple):
    """The table that a drain made of the runs with these LSNs. `record` is None if there was nothing to store.

    `cleared`: the keys that these runs clear in the older layers of the pin.
    """

    lsn_first: int
    lsn_last: int
    layer: Ordered
    segment: int
    record: TableRecord | None
    cleared: KeyRanges = NO_KEYS


PinnedLayer: TypeAlias = ImmutableRun | ActiveLayer | DrainedRuns


class Pinnable(Protocol):
    """What a pin needs of its overlay."""

    active: ActiveLayer
    runs: deque[ImmutableRun]

    def release(self, pin: Pin) -> None:
        """Drop one holder of the pin, and the pin with its last holder."""


class Pin:
    """Pinned `layers`, oldest first. `holders` counts the scans that need them."""

    def __init__(self, overlay: Pinnable, layers: list[PinnedLayer]) -> None:
        self.overlay = overlay
        self.layers = layers
        self.holders = 0

    @property
    def lsn_last(self) -> int:
        """The LSN at which its newest run ends; 0 if it has no run."""
        ends = [layer.lsn_last for layer in self.layers if isinstance(layer, ImmutableRun)]
        return ends[-1] if ends else 0

    def readable(self) -> list[tuple[Ordered, KeyRanges]]:
        """The layers in a form that can be read, oldest first, each with the keys that it clears in older ones."""
        return [_readable(layer) for layer in self.layers]

    def replace(self, drained: DrainedRuns) -> None:
        """Replace runs in memory by the table they were drained into, if it holds nothing newer than they are."""
        covered = [layer for layer in self.layers if isinstance(layer, ImmutableRun) and _covers(drained, layer)]
        if covered and covered[-1].lsn_last == drained.lsn_last:
            at = self.layers.index(covered[0])
            cleared = reduce(KeyRanges.union, [run.layer.cleared for run in covered])
            self.layers[at : at + len(covered)] = [drained._replace(cleared=cleared)]

    def held_alone(self) -> Sequence[ActiveLayer]:
        """Its layers in memory that the overlay no longer holds."""
        live = {self.overlay.active, *(run.layer for run in self.overlay.runs)}
        return [
            layer
            for each in self.layers
            if not isinstance(each, DrainedRuns)
            and (layer := each if isinstance(each, ActiveLayer) else each.layer) not in live
        ]

    def release(self) -> None:
        """Count one holder less. The overlay forgets the pin after the last one."""
        self.overlay.release(self)


def _readable(layer: PinnedLayer) -> tuple[Ordered, KeyRanges]:
    if isinstance(layer, DrainedRuns):
        return layer.layer, layer.cleared
    held = layer if isinstance(layer, ActiveLayer) else layer.layer
    return held, held.cleared


def _covers(drained: DrainedRuns, run: ImmutableRun) -> bool:
    return drained.lsn_first <= run.lsn_first and run.lsn_last <= drained.lsn_last
