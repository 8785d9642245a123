"""The newest values of a range, logged or applied: what conditions are evaluated on."""

from __future__ import annotations

from collections.abc import Iterator, Reversible, Sequence

from shardstore.identifiers import Stored
from shardstore.wire.columns import positions_of
from shardstore.workers.overlay.overlay import fill
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.serving.hybrid_clock import HybridClock
from shardstore.workers.serving.logged_write import LoggedWrite


class NewestValues:
    """The newest values of the keys of a range.

    `clock`: that by which values expire. `logged`: all writes of the worker that are not applied yet. `met`: the newest
    of them with a value that was looked at here; a reply that depends on such a value has to wait for it. None if there
    is none.
    """

    def __init__(self, owned: OwnedRange, logged: Reversible[LoggedWrite], clock: HybridClock) -> None:
        self.owned = owned
        self.clock = clock
        self._logged = logged
        self.met: LoggedWrite | None = None

    def get(self, key: bytes) -> Stored | None:
        """The newest value or TOMBSTONE of one key; None if there is neither. Raises Corruption, StorageFailure."""
        for write in self.not_applied():
            stored = write.get(key)
            if stored is not None:
                self._meet(write)
                return stored
        return self.owned.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """The newest value or TOMBSTONE of each key; None where there is neither. Raises Corruption, StorageFailure."""
        found: list[Stored | None] = [None] * len(keys)
        for write in self.not_applied():
            missing = len(positions_of(found, None))
            if not fill(found, keys, write):
                break
            if len(positions_of(found, None)) < missing:
                self._meet(write)
        fill(found, keys, self.owned)
        return found

    def not_applied(self) -> Iterator[LoggedWrite]:
        """The writes that are not applied yet to the range, or to a parent that it inherits from; the newest first."""
        inherited = self.owned.inheritance.parents if self.owned.inheritance else ()
        for write in reversed(self._logged):
            if write.owned is self.owned or any(write.owned is parent for parent in inherited):
                yield write

    def meet_newest(self) -> None:
        """Count the newest write that is not applied as met, whatever it stores."""
        self.met = next(self.not_applied(), self.met)

    def _meet(self, write: LoggedWrite) -> None:
        if self.met is None or self.met.lsn < write.lsn:
            self.met = write
