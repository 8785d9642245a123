"""The overlay of a range (its memtables): one active layer above a queue of immutable runs.

Open scans pin the layers. They share the active layer until the next write. Then they get a copy of it if it is small;
a larger one is set aside for them as a run that is not due for a drain. Once RUNS_SET_ASIDE_MAX runs are set aside, the
next one makes all of them due.

A range deletion clears keys of the active layer, and so hides all older layers there (ranges/uncleared.py). If the
layer is large, it is set aside first, as looking at each of its entries would take too long.

Invariants (check_invariants): runs are ordered by LSN and do not overlap; every LSN of the active layer is above every
LSN of the runs; runs that are due are below those that are not, of which there are at most RUNS_SET_ASIDE_MAX; every
pin has a holder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.limits import RUNS_SET_ASIDE_MAX, SET_ASIDE_BYTES_MIN
from shardstore.tables.chunk import Lookup
from shardstore.wire.columns import positions_of
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.overlay.immutable_run import ImmutableRun
from shardstore.workers.overlay.pin import DrainedRuns, Pin, PinnedLayer

CLEARED_IN_PLACE_MAX = 4_096
"""A range deletion looks at each entry of a layer with up to so many: less than a millisecond."""


class Overlay:
    """All data of a range that is in no table yet."""

    def __init__(self) -> None:
        self.active = ActiveLayer()
        self.runs: deque[ImmutableRun] = deque()
        """Oldest first."""
        self._pins: list[Pin] = []
        self._shared = False
        """Whether a pin may hold the active layer itself."""

    @property
    def size_bytes(self) -> int:
        """Memory held by all layers."""
        active_bytes = self.active.size_bytes
        return active_bytes + sum([run.size_bytes for run in self.runs]) if self.runs else active_bytes

    def usage(self) -> tuple[int, int]:
        """`size_bytes` and `due_runs`, which every write asks for."""
        return (self.size_bytes, self.due_runs) if self.runs else (self.active.size_bytes, 0)

    @property
    def lsn_first(self) -> int:
        """LSN of the oldest write held; 0 if there is none."""
        return self.runs[0].lsn_first if self.runs else self.active.lsn_first

    @property
    def due_bytes(self) -> int:
        """Memory held by the runs that are due for a drain."""
        return sum([run.size_bytes for run in self.runs if run.due])

    @property
    def due_runs(self) -> int:
        """Number of runs that are due for a drain."""
        return sum([run.due for run in self.runs]) if self.runs else 0

    @property
    def lsn_first_kept(self) -> int:
        """LSN of the oldest write for which no drain is due; 0 if there is none."""
        return next((run.lsn_first for run in self.runs if not run.due), self.active.lsn_first)

    def __len__(self) -> int:
        return len(self.active) + sum(map(len, self.runs))

    def __bool__(self) -> bool:
        """Whether a layer holds or hides anything."""
        return bool(self.active) or any(run.layer for run in self.runs)

    @property
    def cleared_ranges(self) -> int:
        """How many ranges of keys its layers clear; one that several layers clear counts for each."""
        return sum([len(layer.cleared) for layer in self.layers()])

    @property
    def cleared_ranges_kept(self) -> int:
        """As many of them as are in layers for which no drain is due."""
        kept = sum([len(run.layer.cleared) for run in self.runs if not run.due]) if self.runs else 0
        return kept + len(self.active.cleared)

    def layers(self) -> list[ActiveLayer]:
        """All layers, oldest first: those of the runs, then the active one."""
        return [*(run.layer for run in self.runs), self.active]

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """The newest value or tombstone of each key; None where no layer has either."""
        found = self.active.get_many(keys)
        for run in reversed(self.runs):
            if not fill(found, keys, run):
                break
        return found

    def writable(self, lsn: int) -> ActiveLayer:
        """The active layer, ready for the write with this LSN.

        If open scans share it, they get a copy first, or it is set aside for them and a new one begins.
        """
        if self._shared:
            self._shared = False
            pins = [pin for pin in self._pins if pin.layers and pin.layers[-1] is self.active]
            if pins and self.active.size_bytes >= SET_ASIDE_BYTES_MIN:
                self._set_aside(lsn - 1)
            elif pins:
                kept = self.active.copy()
                for pin in pins:
                    pin.layers[-1] = kept
        return self.active

    def clear(self, key_range: KeyRange, lsn: int) -> int:
        """Delete all keys of a range, with the write that has this LSN. Returns by how much memory has grown."""
        if len(self.writable(lsn)) > CLEARED_IN_PLACE_MAX:
            self._set_aside(lsn - 1)
        return self.active.clear(key_range, lsn)

    def pin(self) -> Pin:
        """Pin the layers as they are now: later writes do not change what the pin shows. The caller releases it."""
        self._shared = bool(self.active)
        layers: list[PinnedLayer] = [*self.runs, self.active] if self.active else [*self.runs]
        pin = next((pin for pin in reversed(self._pins) if pin.layers == layers), None)
        if pin is None:
            pin = Pin(self, layers)
            self._pins.append(pin)
        pin.holders += 1
        return pin

    def release(self, pin: Pin) -> None:
        """Drop one holder of the pin, and the pin with its last holder."""
        pin.holders -= 1
        if not pin.holders:
            self._pins.remove(pin)

    def table_ends(self, lsn_last: int) -> tuple[int, ...]:
        """The LSNs below `lsn_last` after which a drain begins another table, so that pins can go over to tables."""
        ends = {pin.lsn_last for pin in self._pins}
        return tuple(run.lsn_last for run in self.runs if run.lsn_last < lsn_last and run.lsn_last in ends)

    @property
    def is_pinned(self) -> bool:
        """Whether a scan has pinned layers."""
        return bool(self._pins)

    def seal(self, lsn_last: int) -> None:
        """Make all writes up to `lsn_last` due for a drain. An active layer without a write stays.

        A BAR record has no entries but is a write: the drain takes it into the manifest.
        """
        for run in self.runs:
            run.due = True
        if self.active.lsn_first:
            self._end_layer(lsn_last, due=True)

    def note_drained(self, drained: DrainedRuns) -> None:
        """Let pinned views read these runs in their tables from now on."""
        for pin in self._pins:
            pin.replace(drained)

    def drop_runs(self, lsn_last: int) -> int:
        """Drop the runs that are in tables now: all that end at or below this LSN. Returns the bytes freed."""
        freed_bytes = 0
        while self.runs and self.runs[0].lsn_last <= lsn_last:
            freed_bytes += self.runs.popleft().size_bytes
        return freed_bytes

    def _set_aside(self, lsn_last: int) -> None:
        is_one_too_many = len(self.runs) - self.due_runs >= RUNS_SET_ASIDE_MAX
        if is_one_too_many:
            for run in self.runs:
                run.due = True
        self._end_layer(lsn_last, due=is_one_too_many)

    def _end_layer(self, lsn_last: int, due: bool) -> None:
        """Turn the active layer into a run. Pins of the layer become pins of the run."""
        run = ImmutableRun(self.active, lsn_last, due)
        for pin in self._pins:
            if pin.layers and pin.layers[-1] is self.active:
                pin.layers[-1] = run
        self.runs.append(run)
        self.active = ActiveLayer()
        self._shared = False

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class does not hold."""
        if self.runs:
            self._check_runs()
        assert all(pin.holders > 0 for pin in self._pins), "a pin without a holder is kept"

    def _check_runs(self) -> None:
        lsn = 0
        for run in self.runs:
            assert lsn < run.lsn_first <= run.lsn_last, "runs overlap or are out of order"
            lsn = run.lsn_last
        assert not self.active or lsn < self.active.lsn_first, "active layer reaches below a run"
        due = [run.due for run in self.runs]
        assert due == sorted(due, reverse=True), "a run that is due lies above one that is not"
        assert due.count(False) <= RUNS_SET_ASIDE_MAX, "too many runs are set aside"

    def check_ends_by(self, lsn_last: int) -> None:
        """Raise AssertionError if the overlay holds a write above this LSN, as far as its layers show."""
        newest = max(self.active.lsn_first, self.runs[-1].lsn_last if self.runs else 0)
        assert newest <= lsn_last, f"the overlay holds LSN {newest}, above {lsn_last}"

    def check_entries(self) -> None:
        """Raise AssertionError if an invariant of a layer here, or of one that only pins hold, does not hold.

        This walks over all entries.
        """
        pinned = [layer for pin in self._pins for layer in pin.held_alone()]
        for layer in {*self.layers(), *pinned}:
            layer.check_invariants()


def fill(found: list[Stored | None], keys: Sequence[bytes], layer: Lookup) -> bool:
    """Look up the keys that have no result yet in an older layer. Returns False if there were none."""
    missing = positions_of(found, None)
    if not missing:
        return False
    values = layer.get_many([keys[at] for at in missing] if len(missing) < len(keys) else keys)
    if len(missing) == len(keys):
        found[:] = values
    else:
        deque(map(found.__setitem__, missing, values), maxlen=0)
    return True
