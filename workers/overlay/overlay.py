"""The overlay of a range: one active layer above a queue of immutable runs.

Invariants (check_invariants): runs are ordered by LSN and do not overlap; every LSN of the active layer lies above
every LSN of the runs; `size_bytes` is the sum of the layers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from shardstore.columns import positions_of
from shardstore.identifiers import Stored
from workers.chunk import Layer, Lookup
from workers.overlay.active_layer import ActiveLayer
from workers.overlay.immutable_run import ImmutableRun


class Overlay:
    """All data of a range that no table file holds yet."""

    def __init__(self) -> None:
        self.active = ActiveLayer()
        self.runs: deque[ImmutableRun] = deque()
        """Oldest first."""

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self.active.size_bytes + sum([run.size_bytes for run in self.runs])

    @property
    def lsn_first(self) -> int:
        """LSN of the oldest write held; 0 when there is none."""
        return self.runs[0].lsn_first if self.runs else self.active.lsn_first

    def __len__(self) -> int:
        return len(self.active) + sum(map(len, self.runs))

    def layers(self) -> list[Layer]:
        """Oldest to newest."""
        return [*self.runs, self.active]

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """What the newest layer that knows a key holds for it; None where no layer does."""
        found = self.active.get_many(keys)
        for run in reversed(self.runs):
            if not fill(found, keys, run):
                break
        return found

    def seal(self, lsn_last: int) -> None:
        """Turn the active layer, whose writes end at `lsn_last`, into a run. An empty layer stays."""
        if self.active:
            self.runs.append(ImmutableRun(self.active, lsn_last))
            self.active = ActiveLayer()

    def drop_runs(self, lsn_last: int) -> int:
        """Forget the runs that table files hold now: all that end at or below this LSN. Answers the bytes freed."""
        freed_bytes = 0
        while self.runs and self.runs[0].lsn_last <= lsn_last:
            freed_bytes += self.runs.popleft().size_bytes
        return freed_bytes

    def check_invariants(self) -> None:
        """Raise AssertionError when a promise of this class does not hold."""
        lsn = 0
        for run in self.runs:
            assert lsn < run.lsn_first <= run.lsn_last, "runs overlap or are out of order"
            lsn = run.lsn_last
        assert not self.active or lsn < self.active.lsn_first, "active layer reaches below a run"


def fill(found: list[Stored | None], keys: Sequence[bytes], layer: Lookup) -> bool:
    """Ask an older layer for the keys nothing was found for yet. False when none was open."""
    missing = positions_of(found, None)
    if not missing:
        return False
    answers = layer.get_many([keys[at] for at in missing] if len(missing) < len(keys) else keys)
    if len(missing) == len(keys):
        found[:] = answers
    else:
        deque(map(found.__setitem__, missing, answers), maxlen=0)
    return True
