"""The former owners of segments that are no longer in the map. Scans that began there end there."""

from __future__ import annotations

from collections import OrderedDict

from shardstore.identifiers import WorkerId
from shardstore.wire.topology import Change

FORMER_MAX = 65_536


class FormerOwners:
    """The owners of the latest FORMER_MAX parents. A restarted router knows only those of changes under way."""

    def __init__(self, changes: tuple[Change, ...]) -> None:
        self._workers: OrderedDict[int, WorkerId] = OrderedDict()
        for change in changes:
            self.add(change)

    def add(self, change: Change) -> None:
        """Add the parents of a change."""
        for parent in change.parents:
            self._workers[parent.segment] = WorkerId(parent.worker)
        while len(self._workers) > FORMER_MAX:
            self._workers.popitem(last=False)

    def owner_of(self, segment: int) -> WorkerId | None:
        """The worker that owned the segment; None if that is not known."""
        return self._workers.get(segment)
