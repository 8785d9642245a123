"""A range this worker owns: its bounds, epoch, overlay, dedup window and segment. Only its methods write its fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shardstore.errors import Corruption, StorageFailure
from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from shardstore.tables.empty_layer import EMPTY_LAYER
from shardstore.tables.manifest import Manifest
from shardstore.tables.segment import Segment
from shardstore.tables.table_format import TableRecord
from shardstore.workers.jobs.figures import JobTotals
from shardstore.workers.jobs.specs import DrainedTable
from shardstore.workers.overlay.overlay import Overlay, fill
from shardstore.workers.overlay.pin import DrainedRuns
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.empty_spans import EmptySpans
from shardstore.workers.ranges.inheritance import Inheritance
from shardstore.workers.ranges.range_view import PinnedRange, PinnedView, RangeView
from shardstore.workers.ranges.role import ORDINARY, Role, RoleStep, role_after
from shardstore.workers.segment.state import SegmentState, Step, after

DELTAS_STOP = 32
"""A range with so many deltas, which every read may have to ask, is compacted before it is drained again."""


@dataclass(slots=True)
class OwnedRange:
    """State of one range.

    Below the overlay lies its `segment`, or the `inheritance` of a child that is not materialised. When the segment
    could not be opened there is neither but `damage`, and nothing is served. `role` is what the range is in topology
    changes. Above `fence_lsn` the log holds nothing of a fenced parent; 0 for others.

    `writes_applied` counts since the range was opened. Until `isolated_until_ns`, a scan keeps its writers waiting.
    `last_failure` is why the latest of its jobs failed; empty once one ended well. `version_logged` is the version of
    its manifest that the log knew of when the range was opened. No compaction is due before the manifest has another
    version than `version_looked_at`, unless by reads or by rest; nor by those before it has another one than
    `version_settled`.
    """

    segment_id: int
    key_range: KeyRange
    epoch: int
    segment: Segment | None
    dedup: DedupWindow
    damage: Corruption | StorageFailure | None = None
    overlay: Overlay = field(default_factory=Overlay)
    job_damage: Corruption | None = None
    writes_applied: int = 0
    isolated_until_ns: int = 0
    state: SegmentState = SegmentState.READY
    last_failure: str = ""
    role: Role = ORDINARY
    inheritance: Inheritance | None = None
    fence_lsn: int = 0
    drains: JobTotals = field(default_factory=JobTotals)
    compactions: JobTotals = field(default_factory=JobTotals)
    version_logged: int = 0
    version_looked_at: int = 0
    version_settled: int = 0
    empty_spans: EmptySpans = field(default_factory=EmptySpans)

    def __post_init__(self) -> None:
        if self.damage is not None:
            self.take(Step.DAMAGE)

    def take(self, *steps: Step) -> None:
        """Go through these steps. Raises AssertionError for an impossible one."""
        for step in steps:
            self.state = after(self.state, step)

    def raise_epoch(self, epoch: int) -> None:
        """Have at least this epoch from now on."""
        self.epoch = max(self.epoch, epoch)

    def adopt(self, windows: Sequence[DedupWindow], lsn_durable: int) -> None:
        """Accept writes from now on. `windows`: the requests that the parents have applied."""
        self.role = role_after(self.role, RoleStep.ADOPT)
        self.dedup = DedupWindow.joined([*windows, self.dedup], lsn_durable)

    def materialise(self, segment: Segment) -> None:
        """Read these files from now on, and the parents no more."""
        self.role = role_after(self.role, RoleStep.MATERIALISE)
        self.segment, self.inheritance = segment, None

    def want_fence(self) -> None:
        """Be about to become the parent of a change: no other scan may isolate the range."""
        self.role = role_after(self.role, RoleStep.WANT_FENCE)

    def fence(self, lsn: int) -> None:
        """Accept no write any more. The log holds nothing of the range above this LSN."""
        self.role = role_after(self.role, RoleStep.FENCE)
        self.fence_lsn = lsn

    def finalise(self) -> None:
        """Note that everything up to the fence is durable and applied."""
        self.role = role_after(self.role, RoleStep.FINALISE)

    def forget_requests(self) -> None:
        """Free the dedup window, when nothing but open scans needs the range any more."""
        self.dedup = DedupWindow()

    def isolate(self, end_ns: int) -> None:
        """Keep writers waiting until then, for a scan."""
        self.isolated_until_ns = end_ns

    def end_isolation(self) -> None:
        """Let writers in again."""
        self.isolated_until_ns = 0

    def replace(self, manifest: Manifest) -> list[str]:
        """Serve this version of the segment, which a job has published. Returns the files that it names no more."""
        assert self.segment is not None, "only what is open is published anew"
        return self.segment.replace(manifest)

    def note_failure(self, reason: str) -> None:
        """Note why the latest job of the range failed; empty when it ended well."""
        self.last_failure = reason

    def note_damage(self, damage: Corruption) -> None:
        """Note that a job met damage: no other one is begun. The first damage is kept."""
        if self.job_damage is None:  # there may be two jobs of a segment
            self.job_damage = damage
            self.take(Step.DAMAGE)

    def note_no_compaction(self, whatever_is_read: bool) -> None:
        """Note that no compaction of this version is due, or that none can become due by reads or rest either."""
        self.version_looked_at = self.version
        if whatever_is_read:
            self.version_settled = self.version

    def stored(self) -> Segment | Inheritance:
        """What lies below the overlay. Raises what kept the segment from opening."""
        stored = self.segment or self.inheritance
        if stored is None:
            assert self.damage is not None
            raise self.damage
        return stored

    @property
    def waits_for_compaction(self) -> bool:
        """Whether it is not to be drained before it is compacted.

        A parent is not compacted any more; and where compactions fail, memory and log are to be freed all the same.
        """
        deltas = len(self.segment.manifest.deltas) if self.segment else 0
        return deltas >= DELTAS_STOP and not self.role.is_fenced and not self.compactions.failed_last

    @property
    def draining_bytes(self) -> int:
        """Memory that the next drains will free."""
        return 0 if self.waits_for_compaction else self.overlay.due_bytes

    @property
    def version(self) -> int:
        """How often what lies below the overlay was published; 0 before the first time. Raises Corruption."""
        stored = self.stored()
        return stored.manifest.version if isinstance(stored, Segment) else 0

    @property
    def version_known(self) -> int:
        """The version of its manifest that is at least on stable storage; 0 before the first."""
        return max(self.version_logged, self.segment.manifest.version if self.segment else 0)

    @property
    def writes_seen(self) -> int:
        """Writes that were applied to what is read here, since it was opened."""
        inherited = self.inheritance.parents if self.inheritance else ()
        return self.writes_applied + sum([parent.writes_applied for parent in inherited])

    @property
    def tables(self) -> Sequence[tuple[int, TableRecord]]:
        """The tables that are read, each with the segment in whose directory it is. Raises Corruption."""
        stored = self.stored()
        if isinstance(stored, Segment):
            return [(self.segment_id, record) for record in stored.manifest.tables]
        return stored.tables

    def apply(self, keys: Sequence[bytes], values: Sequence[bytes] | None, payload_bytes: int, lsn: int) -> int:
        """Put a logged write into the active layer, which cannot fail. Without values it deletes the keys.

        Returns by how many bytes the layer has grown.
        """
        self.writes_applied += bool(keys)  # a bar changes nothing that a scan shows
        active = self.overlay.writable(lsn)
        if values is None:
            return active.delete(keys, payload_bytes, lsn)
        self.empty_spans.note_put(keys)
        return active.put(keys, values, payload_bytes, lsn)

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
        return RangeView([*self.stored().layers(), *self.overlay.layers()])

    def pin(self) -> PinnedView:
        """The range as it is now, for as long as it takes. Raises Corruption."""
        stored = self.stored()
        if isinstance(stored, Segment):
            pinned = PinnedRange(stored.layers(), self.tables, self.version, self.overlay.pin())
            return PinnedView([pinned], self.writes_applied)
        return PinnedView([*stored.pin(), PinnedRange((), (), 0, self.overlay.pin())], None)

    def is_shown_by(self, pinned: PinnedView | None) -> bool:
        """Whether a view shows what the range holds now; None stands for `view`, if it has files of its own."""
        return self.segment is not None and (pinned is None or pinned.writes == self.writes_applied)

    def note_drained(self, tables: Iterable[DrainedTable]) -> None:
        """Runs of this range are in tables now: scans that have pinned them go on from there. Raises Corruption."""
        if self.segment is None or not self.overlay.is_pinned:
            return
        records = {record.number: record for record in self.segment.manifest.deltas}
        for table in tables:
            if table.segment == self.segment_id and (not table.number or table.number in records):
                record = records.get(table.number)
                layer = self.segment.table(record) if record else EMPTY_LAYER
                self.overlay.note_drained(DrainedRuns(table.lsn_first, table.lsn_last, layer, self.segment_id, record))

    def value_bytes_mean(self) -> int:
        """Rough mean size of an entry, never 0; what is not known yet counts as small."""
        stored = self.stored()
        if isinstance(stored, Inheritance):
            return max([64, *(parent.value_bytes_mean() for parent in stored.parents)])
        entries = len(self.overlay) + stored.entries
        return max(64, (self.overlay.size_bytes + stored.bytes) // max(1, entries))
