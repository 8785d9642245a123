"""A range that this worker owns: bounds, epoch, overlay, dedup window, segment. Only its methods change its fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shardstore.errors import Corruption, Unavailable
from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import KeyRange
from shardstore.tables.empty_layer import EMPTY_LAYER
from shardstore.tables.empty_ranges import EmptyRanges
from shardstore.tables.key_ranges import NO_KEYS
from shardstore.tables.manifest import Manifest
from shardstore.tables.segment import Segment
from shardstore.tables.table_format import TableRecord
from shardstore.workers.board.range_slot import RangeSlot
from shardstore.workers.jobs.figures import JobTotals
from shardstore.workers.jobs.specs import DrainedTable
from shardstore.workers.overlay.overlay import Overlay, fill
from shardstore.workers.overlay.pin import DrainedRuns
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.inheritance import Inheritance
from shardstore.workers.ranges.range_view import PinnedRange, PinnedView, RangeView
from shardstore.workers.ranges.role import ADOPTED, ORDINARY, WAITING, Role, RoleStep, role_after
from shardstore.workers.ranges.uncleared import uncleared
from shardstore.workers.segment.state import SegmentState, SegmentStep, state_after

DELTAS_STOP = 32
"""A range with this many deltas is compacted before it is drained again, as every read may have to ask each delta."""


@dataclass(slots=True)
class OwnedRange:
    """The state of one range.

    Below the overlay lies the `segment`, or the `inheritance` of a child that is not materialised yet. If the segment
    could not be opened, there is neither; `damage` says why, and nothing is served: Unavailable if the disk refused an
    operation, which is no damage and may pass. `role` is the range's role in
    topology changes: a range with an inheritance is a child that waits or was adopted. The log holds no record of a
    fenced parent above `fence_lsn`; 0 for ranges that are not fenced. `check_invariants` checks all of this.

    `writes_applied` counts since the range was opened. Until `isolated_until_ns` a scan makes writers wait.
    `last_failure` says why the latest job failed; empty if it succeeded. `version_logged` is the version of the
    manifest that the log knew when the range was opened.

    `slot` tells clients on this host what they may read themselves; None if there is no board. `reads_in_memory`: the
    requests since the range was opened that clients would have read from files, but for what is in memory.

    `version_looked_at`: the latest manifest version for which no compaction was due; only reads or rest can still make
    one due. `version_settled`: the latest version for which not even reads or rest can.
    """

    segment_id: int
    key_range: KeyRange
    epoch: int
    segment: Segment | None
    dedup: DedupWindow
    damage: Corruption | Unavailable | None = None
    overlay: Overlay = field(default_factory=Overlay)
    job_damage: Corruption | None = None
    read_damage: Corruption | None = None
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
    empty_ranges: EmptyRanges = field(default_factory=EmptyRanges)
    slot: RangeSlot | None = None
    reads_in_memory: int = 0

    def __post_init__(self) -> None:
        if self.damage is not None:
            self.advance(SegmentStep.DAMAGE)

    def advance(self, *steps: SegmentStep) -> None:
        """Advance the segment by these steps of its state. Raises AssertionError for an impossible step."""
        for step in steps:
            self.state = state_after(self.state, step)

    def raise_epoch(self, epoch: int) -> None:
        """Raise the epoch to this one, unless it is higher already."""
        if epoch > self.epoch:
            self.epoch = epoch
            if self.slot is not None:
                self.slot.take_epoch(epoch)

    def note_read_in_memory(self) -> None:
        """Count a request that would have needed no worker if the range had nothing in memory."""
        self.reads_in_memory += 1
        if self.slot is not None:
            self.slot.is_asked = True

    def show(self, slot: RangeSlot | None) -> None:
        """Let clients read the files of the range themselves, if it has some. `slot`: the slot of the range."""
        if slot is not None and self.segment is not None and self.role is ORDINARY and not slot.is_open:
            self.slot = slot
            overlay, active = self.overlay, self.overlay.active
            in_memory = bool(active.lsn_first), bool(overlay.runs), None if active.cleared else active.entries.keys()
            slot.open(self.epoch, self.segment.manifest.version, *in_memory)

    def adopt(self, windows: Sequence[DedupWindow], lsn_durable: int) -> None:
        """Accept writes from now on. `windows`: the dedup windows of the parents."""
        self.role = role_after(self.role, RoleStep.ADOPT)
        self.dedup = DedupWindow.joined([*windows, self.dedup], lsn_durable)

    def materialise(self, segment: Segment) -> None:
        """Read these files from now on instead of the parents."""
        self.role = role_after(self.role, RoleStep.MATERIALISE)
        self.segment, self.inheritance = segment, None

    def want_fence(self) -> None:
        """Note that a change is to fence the range: no further scan may isolate it."""
        self.role = role_after(self.role, RoleStep.WANT_FENCE)

    def fence(self, lsn: int) -> None:
        """Accept no more writes. The log holds no record of the range above this LSN."""
        self.role = role_after(self.role, RoleStep.FENCE)
        self.fence_lsn = lsn
        if self.slot is not None:
            self.slot.close()

    def finalise(self) -> None:
        """Note that all writes up to the fence are durable and applied."""
        self.role = role_after(self.role, RoleStep.FINALISE)

    def forget_requests(self) -> None:
        """Free the dedup window. For a retired range that only open scans still read."""
        self.dedup = DedupWindow()

    def isolate(self, end_ns: int) -> None:
        """Make writers wait until then, for a scan."""
        self.isolated_until_ns = end_ns

    def end_isolation(self) -> None:
        """End the isolation, so that writes are accepted again."""
        self.isolated_until_ns = 0

    def replace(self, manifest: Manifest) -> list[str]:
        """Serve this version of the segment, which a job has published. Returns the files that it no longer names."""
        assert self.segment is not None, "a new version of a segment that is not open"
        obsolete = self.segment.replace(manifest)
        if self.slot is not None:
            self.slot.take_version(manifest.version)
        return obsolete

    def note_passed(self, passed: KeyRange, entries: int) -> None:
        """Note that these keys have no value, and how many entries were looked at to find that."""
        self.empty_ranges.note(passed)
        if self.segment is not None:
            self.segment.note_passed(entries)

    def seal(self, lsn_last: int) -> None:
        """Make all writes up to `lsn_last` due for a drain."""
        self.overlay.seal(lsn_last)
        if self.slot is not None:
            self.slot.seal()

    def drop_runs(self, lsn_last: int) -> int:
        """Drop the runs that the tables of the served version hold: all up to this LSN. Returns the bytes freed."""
        freed_bytes = self.overlay.drop_runs(lsn_last)
        if self.slot is not None:
            self.slot.drop(bool(self.overlay.active.lsn_first), bool(self.overlay.runs))
        return freed_bytes

    def note_failure(self, reason: str) -> None:
        """Note why the latest job of the range failed; empty if it succeeded."""
        self.last_failure = reason

    def note_damage(self, damage: Corruption) -> None:
        """Note that a job met damage: no further job is started. The first damage is kept."""
        if self.job_damage is None:  # two jobs of a segment may run at once
            self.job_damage = damage
            self.advance(SegmentStep.DAMAGE)

    def note_read_damage(self, damage: Corruption) -> None:
        """Note that a request met damage, for statistics: what is not damaged is still served. The first is kept."""
        if self.read_damage is None:
            self.read_damage = damage

    @property
    def failure(self) -> str:
        """Why the range is not served in full, or not maintained; empty if it is."""
        return str(self.damage or self.job_damage or self.read_damage or "")

    def note_no_compaction(self, whatever_is_read: bool) -> None:
        """Note that this version needs no compaction; with `whatever_is_read`, also not after more reads or a rest."""
        self.version_looked_at = self.version
        if whatever_is_read:
            self.version_settled = self.version

    def stored(self) -> Segment | Inheritance:
        """What lies below the overlay. Raises Corruption or Unavailable if the segment could not be opened."""
        stored = self.segment or self.inheritance
        if stored is None:
            assert self.damage is not None
            raise self.damage
        return stored

    @property
    def waits_for_compaction(self) -> bool:
        """Whether the range must be compacted before it is drained again.

        False for a fenced parent, which is never compacted, and for a range whose latest compaction failed: its memory
        and log must be freed all the same.
        """
        deltas = len(self.segment.manifest.deltas) if self.segment else 0
        return deltas >= DELTAS_STOP and not self.role.is_fenced and not self.compactions.failed_last

    @property
    def draining_bytes(self) -> int:
        """The memory that the next drains will free."""
        return 0 if self.waits_for_compaction else self.overlay.due_bytes

    @property
    def may_expire(self) -> bool:
        """Whether some of its own entries may expire."""
        in_files = self.segment is not None and self.segment.expiring > 0
        return in_files or any(layer.may_expire for layer in self.overlay.layers())

    @property
    def version(self) -> int:
        """The version of the manifest; 0 for a child without files. Raises Corruption, StorageFailure."""
        stored = self.stored()
        return stored.manifest.version if isinstance(stored, Segment) else 0

    @property
    def version_known(self) -> int:
        """The minimum version of the manifest on stable storage; 0 if there is none."""
        return max(self.version_logged, self.segment.manifest.version if self.segment else 0)

    @property
    def writes_seen(self) -> int:
        """Number of writes applied since opening to the range and to the parents that it reads."""
        inherited = self.inheritance.parents if self.inheritance else ()
        return self.writes_applied + sum([parent.writes_applied for parent in inherited])

    @property
    def tables(self) -> Sequence[tuple[int, TableRecord]]:
        """The tables of the range, and the segment in whose directory each is. Raises Corruption, StorageFailure."""
        stored = self.stored()
        if isinstance(stored, Segment):
            return [(self.segment_id, record) for record in stored.manifest.tables]
        return stored.tables

    def apply(
        self,
        keys: Sequence[bytes],
        values: Sequence[Stored] | None,
        payload_bytes: int,
        lsn: int,
        deletes: int = 0,
        may_expire: bool = False,
    ) -> int:
        """Apply a logged write to the active layer; this cannot fail. Without values, the keys are deleted.

        `deletes`: how many of the values are TOMBSTONE. `may_expire`: whether some are Expiring. Returns by how many
        bytes the layer has grown.
        """
        if keys:  # a BAR has none, and changes nothing that a scan shows
            self.writes_applied += 1
        if self.slot is not None:
            self.slot.note(keys)
        active = self.overlay.writable(lsn)
        if values is None:
            return active.delete(keys, payload_bytes, lsn)
        if deletes or may_expire:
            put = [key for key, value in zip(keys, values, strict=True) if value is not TOMBSTONE] if deletes else keys
            self.empty_ranges.note_put(put)
            return active.change(keys, values, deletes, may_expire, payload_bytes, lsn)
        self.empty_ranges.note_put(keys)
        return active.put(keys, values, payload_bytes, lsn)

    def clear(self, key_range: KeyRange, lsn: int) -> int:
        """Apply a logged range deletion; this cannot fail. Returns by how many bytes the overlay has grown."""
        self.writes_applied += 1
        if self.slot is not None:
            self.slot.note_clear()
        grown_bytes = self.overlay.clear(key_range, lsn)
        self.empty_ranges.note(key_range)
        return grown_bytes

    def get(self, key: bytes) -> Stored | None:
        """The newest value or TOMBSTONE of one key; None if there is neither. Raises Corruption, StorageFailure."""
        if self.segment is None:
            self.stored()
        newest = self.overlay.active.entries.get(key)
        return self.get_many((key,))[0] if newest is None else newest

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """The newest value or TOMBSTONE of each key; None where there is neither. Raises Corruption, StorageFailure."""
        stored = self.stored()
        if not self.overlay:
            return stored.get_many(keys)
        found = self.overlay.get_many(keys)
        fill(found, keys, stored)
        return found

    def view(self) -> RangeView:
        """The range as it is now, valid until the next event. Raises Corruption, StorageFailure."""
        stored, held = self.stored().layers(), self.overlay.layers()
        if not self.overlay.cleared_ranges:
            return RangeView([*stored, *held])
        below = [(layer, NO_KEYS) for layer in stored]
        return RangeView(uncleared([*below, *((layer, layer.cleared) for layer in held)], self.key_range))

    def pin(self, now_ms: int) -> PinnedView:
        """The range as it is at this moment, valid until it is released. Raises Corruption, StorageFailure."""
        stored = self.stored()
        if isinstance(stored, Segment):
            pinned = PinnedRange(stored.layers(), self.tables, self.version, self.overlay.pin())
            return PinnedView([pinned], self.writes_applied, self.key_range, now_ms)
        pins = [*stored.pin(now_ms), PinnedRange((), (), 0, self.overlay.pin())]
        return PinnedView(pins, None, self.key_range, now_ms)

    def is_shown_by(self, pinned: PinnedView | None) -> bool:
        """Whether a view shows what the range holds now; None stands for `view`. Never for a child without files."""
        return self.segment is not None and (pinned is None or pinned.writes == self.writes_applied)

    def note_drained(self, tables: Iterable[DrainedTable]) -> None:
        """Let scans that have pinned drained runs read them from these tables from now on. Raises Corruption."""
        if self.segment is None or not self.overlay.is_pinned:
            return
        records = {record.number: record for record in self.segment.manifest.deltas}
        for table in tables:
            if table.segment == self.segment_id and (not table.number or table.number in records):
                record = records.get(table.number)
                layer = self.segment.table(record) if record else EMPTY_LAYER
                self.overlay.note_drained(DrainedRuns(table.lsn_first, table.lsn_last, layer, self.segment_id, record))

    def check_invariants(self) -> None:
        """Raise AssertionError if an invariant of this class, of its overlay or its empty ranges does not hold."""
        missing = (self.segment, self.inheritance, self.damage).count(None)
        assert missing == 2, "there is not one thing below the overlay"
        assert self.inheritance is None or self.role in (WAITING, ADOPTED), f"{self.role.label} has an inheritance"
        self.overlay.check_invariants()
        self.empty_ranges.check_invariants()
        if self.role.is_fenced:
            newest = max([layer.lsn_first for layer in self.overlay.layers()])
            assert newest <= self.fence_lsn, "a write came after the fence"
        else:
            assert not self.fence_lsn, "a range that is not fenced has the LSN of a fence"

    def check_entries(self) -> None:
        """Raise AssertionError if an invariant of a layer in memory or of the dedup window does not hold.

        This walks over all entries and all clients.
        """
        self.overlay.check_entries()
        self.dedup.check_invariants()

    def value_bytes_mean(self) -> int:
        """About the mean size of an entry, at least 64 bytes. Parents on other workers are left out."""
        stored = self.stored()
        if isinstance(stored, Inheritance):
            return max([64, *(parent.value_bytes_mean() for parent in stored.parents)])
        entries = len(self.overlay) + stored.entries
        return max(64, (self.overlay.size_bytes + stored.bytes) // max(1, entries))
