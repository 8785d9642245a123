"""The overlay of a range: one active layer above a queue of immutable runs.

Open scans share the active layer (pin) until the next write comes. Then it is set aside for them, as a run that is not
due for a drain; or, when the overlay has RUNS_SET_ASIDE_MAX of those, they get a copy.

Invariants (check_invariants): runs are ordered by LSN and do not overlap; every LSN of the active layer lies above
every LSN of the runs; `size_bytes` is the sum of the layers; runs that are due lie below those that are not, of which
there are at most RUNS_SET_ASIDE_MAX.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from shardstore.columns import positions_of
from shardstore.identifiers import Stored
from shardstore.limits import RUNS_SET_ASIDE_MAX
from shardstore.workers.chunk import Layer, Lookup
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.overlay.immutable_run import ImmutableRun
from shardstore.workers.overlay.pinned_layer import PinnedLayer


class Overlay:
    """All data of a range that no table file holds yet."""

    def __init__(self) -> None:
        self.active = ActiveLayer()
        self.runs: deque[ImmutableRun] = deque()
        """Oldest first."""
        self._pinned: PinnedLayer | None = None

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self.active.size_bytes + sum([run.size_bytes for run in self.runs])

    @property
    def lsn_first(self) -> int:
        """LSN of the oldest write held; 0 when there is none."""
        return self.runs[0].lsn_first if self.runs else self.active.lsn_first

    @property
    def due_bytes(self) -> int:
        """Memory held by the runs that are due for a drain."""
        return sum([run.size_bytes for run in self.runs if run.due])

    @property
    def due_runs(self) -> int:
        """How many runs are due for a drain."""
        return sum([run.due for run in self.runs])

    @property
    def lsn_first_kept(self) -> int:
        """LSN of the oldest write for which no drain is due; 0 when there is none."""
        return next((run.lsn_first for run in self.runs if not run.due), self.active.lsn_first)

    def __len__(self) -> int:
        return len(self.active) + sum(map(len, self.runs))

    def layers(self) -> list[Layer]:
        """Oldest to newest."""
        return [*self.runs, self.active]

    def written_layers(self) -> list[ActiveLayer]:
        """Oldest to newest, as they were written: the runs have been active layers."""
        return [*(run.layer for run in self.runs), self.active]

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """What the newest layer that knows a key holds for it; None where no layer does."""
        found = self.active.get_many(keys)
        for run in reversed(self.runs):
            if not fill(found, keys, run):
                break
        return found

    def writable(self, lsn: int) -> ActiveLayer:
        """The active layer, for the write with this LSN; before, what scans show of it is put out of its reach."""
        pinned, self._pinned = self._pinned, None
        if pinned is not None and pinned.holders:
            if len(self.runs) - self.due_runs < RUNS_SET_ASIDE_MAX:
                self._end_layer(lsn - 1, due=False)
            else:
                pinned.layer = self.active.copy()
        return self.active

    def pin(self) -> list[ImmutableRun | PinnedLayer]:
        """The layers as they are now, oldest first, whatever is written; the caller releases the pinned one."""
        if not self.active:
            return [*self.runs]
        if self._pinned is None:
            self._pinned = PinnedLayer(self.active)
        self._pinned.holders += 1
        return [*self.runs, self._pinned]

    def seal(self, lsn_last: int) -> None:
        """Make everything that was written, up to `lsn_last`, due for a drain. An active layer without a write stays.

        A write without entries, which only bars a request, is one: the drain takes it into the manifest.
        """
        for run in self.runs:
            run.due = True
        if self.active.lsn_first:
            self._end_layer(lsn_last, due=True)

    def drop_runs(self, lsn_last: int) -> int:
        """Forget the runs that table files hold now: all that end at or below this LSN. Answers the bytes freed."""
        freed_bytes = 0
        while self.runs and self.runs[0].lsn_last <= lsn_last:
            freed_bytes += self.runs.popleft().size_bytes
        return freed_bytes

    def _end_layer(self, lsn_last: int, due: bool) -> None:
        """Turn the active layer into a run. Who has pinned it keeps it."""
        self.runs.append(ImmutableRun(self.active, lsn_last, due))
        self.active = ActiveLayer()
        self._pinned = None

    def check_invariants(self) -> None:
        """Raise AssertionError when a promise of this class does not hold."""
        lsn = 0
        for run in self.runs:
            assert lsn < run.lsn_first <= run.lsn_last, "runs overlap or are out of order"
            lsn = run.lsn_last
        assert not self.active or lsn < self.active.lsn_first, "active layer reaches below a run"
        due = [run.due for run in self.runs]
        assert due == sorted(due, reverse=True), "a run that is due lies above one that is not"
        assert due.count(False) <= RUNS_SET_ASIDE_MAX, "too many runs are set aside"
        assert self._pinned is None or self._pinned.layer is self.active, "a pinned layer is not the active one"


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
