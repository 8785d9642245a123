"""An overlay as it was at one moment, for the scans that were opened then. See overlay.py.

    runs and active layer of that moment --> as tables hold them, run by run, when they are drained

A drain writes another table behind each run with which a pin ends (Overlay.cuts). So every table that it makes of runs
of the pin holds nothing that is newer than the pin, and says the same as those runs: tombstones that it leaves out hide
nothing in older layers, here as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from shardstore.tables.stretches import Ordered
from shardstore.tables.table_format import TableRecord
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.overlay.immutable_run import ImmutableRun

if TYPE_CHECKING:
    from shardstore.workers.overlay.overlay import Overlay


class DrainedRuns(NamedTuple):
    """What a drain has made of the runs with these LSNs. `record` is None where they left nothing to store."""

    lsn_first: int
    lsn_last: int
    layer: Ordered
    segment: int
    record: TableRecord | None


PinnedLayer: TypeAlias = ImmutableRun | ActiveLayer | DrainedRuns


class Pin:
    """`layers` from the oldest to the newest; `holders` counts the scans that need them."""

    def __init__(self, overlay: Overlay, layers: list[PinnedLayer]) -> None:
        self.overlay = overlay
        self.layers = layers
        self.holders = 0

    @property
    def lsn_last(self) -> int:
        """Where its newest run ends; 0 when it has none."""
        ends = [layer.lsn_last for layer in self.layers if isinstance(layer, ImmutableRun)]
        return ends[-1] if ends else 0

    def readable(self) -> list[Ordered]:
        """The layers, to be read."""
        return [layer if isinstance(layer, ActiveLayer) else layer.layer for layer in self.layers]

    def replace(self, drained: DrainedRuns) -> None:
        """Read from now on in a table what it has in memory, if the table holds that and nothing else."""
        covered = [layer for layer in self.layers if isinstance(layer, ImmutableRun) and _covers(drained, layer)]
        if covered and covered[-1].lsn_last == drained.lsn_last:
            at = self.layers.index(covered[0])
            self.layers[at : at + len(covered)] = [drained]

    def held_alone(self) -> Sequence[ActiveLayer]:
        """What it has in memory that its overlay has not."""
        live = {self.overlay.active, *(run.layer for run in self.overlay.runs)}
        return [
            layer
            for each in self.layers
            if not isinstance(each, DrainedRuns)
            and (layer := each if isinstance(each, ActiveLayer) else each.layer) not in live
        ]

    def release(self) -> None:
        """One scan less needs it."""
        self.overlay.release(self)


def _covers(drained: DrainedRuns, run: ImmutableRun) -> bool:
    return drained.lsn_first <= run.lsn_first and run.lsn_last <= drained.lsn_last
