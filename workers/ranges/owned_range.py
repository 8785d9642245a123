"""A range this worker owns: its bounds, epoch, overlay, dedup window and segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from shardstore.errors import Corruption
from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from workers.jobs.figures import JobTotals
from workers.overlay.overlay import Overlay, fill
from workers.ranges.dedup import DedupWindow
from workers.ranges.range_view import PinnedView, RangeView
from workers.segment.segment import Segment
from workers.segment.state import SegmentState, Step, after


@dataclass(slots=True)
class OwnedRange:
    """State of one range. `damage` is set when its segment could not be opened: then nothing is served from it.

    `writes_applied` counts since the range was opened. Until `isolated_until_ns`, a scan keeps its writers waiting.
    `last_failure` is why the latest of its jobs failed; empty once one ended well.
    """

    segment_id: int
    key_range: KeyRange
    epoch: int
    segment: Segment | None
    dedup: DedupWindow
    damage: Corruption | None = None
    overlay: Overlay = field(default_factory=Overlay)
    job_damage: Corruption | None = None
    writes_applied: int = 0
    isolated_until_ns: int = 0
    state: SegmentState = SegmentState.READY
    last_failure: str = ""
    drains: JobTotals = field(default_factory=JobTotals)
    compactions: JobTotals = field(default_factory=JobTotals)

    def __post_init__(self) -> None:
        if self.damage is not None:
            self.take(Step.DAMAGE)

    def take(self, *steps: Step) -> None:
        """Go through these steps. Raises AssertionError for an impossible one."""
        for step in steps:
            self.state = after(self.state, step)

    def stored(self) -> Segment:
        """The open segment. Raises the Corruption that kept it from opening."""
        if self.segment is None:
            assert self.damage is not None
            raise self.damage
        return self.segment

    def get(self, key: bytes) -> Stored | None:
        """The newest entry of one key; None or TOMBSTONE where there is no value."""
        self.stored()
        newest = self.overlay.active.entries.get(key)
        return self.get_many((key,))[0] if newest is None else newest

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """The newest entry of each key; None or TOMBSTONE where there is no value."""
        segment = self.stored()
        found = self.overlay.get_many(keys)
        fill(found, keys, segment)
        return found

    def view(self) -> RangeView:
        """The range as it is until the next event. Raises Corruption."""
        return RangeView.of(self.stored(), self.overlay.layers())

    def pin(self) -> PinnedView:
        """The range as it is now, for as long as it takes. Raises Corruption."""
        segment = self.stored()
        layers = segment.layers()
        buffered = self.overlay.pin()
        return PinnedView(RangeView(layers, buffered, segment.only_layer()), buffered, segment.manifest.tables)

    def value_bytes_mean(self) -> int:
        """Rough mean size of an entry, never 0; what is not known yet counts as small."""
        entries = len(self.overlay) + self.stored().entries
        return max(64, (self.overlay.size_bytes + self.stored().bytes) // max(1, entries))
