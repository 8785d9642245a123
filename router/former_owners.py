"""Which worker owned a segment that is in the map no more: scans that began there are served to their end there."""

from __future__ import annotations

from collections import OrderedDict

from shardstore.identifiers import WorkerId
from shardstore.wire.topology import Change

FORMER_MAX = 65_536


class FormerOwners:
    """Parents of changes and their workers, the oldest forgotten first. A restarted router knows those under way."""

    def __init__(self, changes: tuple[Change, ...]) -> None:
        self._workers: OrderedDict[int, WorkerId] = OrderedDict()
        for change in changes:
            self.add(change)

    def add(self, change: Change) -> None:
        """The parents of this change are in the map no more."""
        for parent in change.parents:
            self._workers[parent.segment] = WorkerId(parent.worker)
        while len(self._workers) > FORMER_MAX:
            self._workers.popitem(last=False)

    def owner_of(self, segment: int) -> WorkerId | None:
        """Who owned the segment, if that is known."""
        return self._workers.get(segment)
