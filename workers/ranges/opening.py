"""Opening the ranges a worker was given: segments from their manifests. Overlays come from the log; see replay.py."""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.documents import HEAD_BYTES
from shardstore.entropy import Entropy
from shardstore.errors import Corruption
from shardstore.file_names import SEGMENTS, manifest, segment_of
from shardstore.filesystem import Filesystem
from shardstore.key_range import KeyRange
from shardstore.messages import Assignment
from shardstore.workers.jobs.orphans import clear_orphans
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.segment.cache import SegmentCache
from shardstore.workers.segment.manifest import Manifest, read_manifest
from shardstore.workers.segment.segment import Segment
from shardstore.workers.wal.log_document import read_log_document
from shardstore.workers.wal.recovery import RecoveredLog, recover


def readable_manifests(filesystem: Filesystem, store: str) -> list[Manifest]:
    """Every manifest that can be read. Damage is reported when its range is opened, not here."""
    found = []
    for name in filesystem.list_directory(SEGMENTS):
        segment = segment_of(name)
        if segment is not None and filesystem.exists(manifest(segment)):
            try:
                found.append(read_manifest(filesystem, store, segment))
            except Corruption:
                continue
    return found


def known_segments(filesystem: Filesystem, manifests: Sequence[Manifest]) -> dict[int, int]:
    """Epochs by segment; 0 for those that have a directory only: made just before a crash, or removed in part."""
    segments = filter(None, map(segment_of, filesystem.list_directory(SEGMENTS)))
    bare = [segment for segment in segments if not filesystem.exists(manifest(segment))]
    return dict.fromkeys(bare, 0) | {manifest.segment: manifest.epoch for manifest in manifests}


def highest_lsn_in_tables(filesystem: Filesystem, store: str, worker: int, manifests: Sequence[Manifest]) -> int:
    """The highest LSN of the worker's log that a table holds; the log itself may have lost it."""
    try:
        log_id = read_log_document(filesystem, store, worker).log_id
    except FileNotFoundError:
        return 0
    return max((manifest.checkpoint_of(log_id) for manifest in manifests), default=0)


def open_log(filesystem: Filesystem, store: str, worker: int, entropy: Entropy) -> tuple[RecoveredLog, dict[int, int]]:
    """The log of a worker, whole and durable, and the epochs by segment that are known on this disk.

    Raises Corruption, with nothing changed, and StorageFailure.
    """
    manifests = readable_manifests(filesystem, store)
    lsn_floor = highest_lsn_in_tables(filesystem, store, worker, manifests)
    return recover(filesystem, worker, store, lsn_floor, entropy), known_segments(filesystem, manifests)


def open_range(
    filesystem: Filesystem, store: str, assignment: Assignment, cache: SegmentCache, version_logged: int
) -> OwnedRange:
    """The range, its segment opened or created. Damage makes a range that answers with it.

    `version_logged`: of the manifest, as the log knows it; 0 for one of which it knows nothing.
    """
    key_range = KeyRange(assignment.start, assignment.end)
    segment, dedup, damage = None, DedupWindow(), None
    try:
        segment = _open_segment(filesystem, store, assignment, key_range, cache, version_logged)
        dedup = DedupWindow.from_document(segment.manifest.dedup)
    except Corruption as found:
        damage = found
    return OwnedRange(
        assignment.segment,
        key_range,
        assignment.epoch,
        None if damage else segment,
        dedup,
        damage,
        version_logged=version_logged,
    )


def open_child(
    filesystem: Filesystem, store: str, assignment: Assignment, cache: SegmentCache, version_logged: int
) -> OwnedRange:
    """The child of a change: a range like others if it has files of its own, else one that is not adopted yet."""
    if version_logged or filesystem.exists(manifest(assignment.segment)):
        return open_range(filesystem, store, assignment, cache, version_logged)
    key_range = KeyRange(assignment.start, assignment.end)
    return OwnedRange(assignment.segment, key_range, assignment.epoch, None, DedupWindow(), adopted=False)


def _open_segment(
    filesystem: Filesystem,
    store: str,
    assignment: Assignment,
    key_range: KeyRange,
    cache: SegmentCache,
    version_logged: int,
) -> Segment:
    path = manifest(assignment.segment)
    if not filesystem.exists(path):
        if not assignment.create or version_logged:
            raise Corruption(path, 0, "the segment is in the route map, but its manifest is missing")
        return Segment.create(filesystem, store, assignment.segment, key_range, assignment.epoch, cache)
    segment = Segment.open(filesystem, store, assignment.segment, cache)
    if (segment.manifest.start, segment.manifest.end) != (key_range.start, key_range.end):
        raise Corruption(path, 0, f"holds {segment.manifest.start!r} to {segment.manifest.end!r}, not {key_range}")
    _check_version(segment.manifest, version_logged)
    clear_orphans(filesystem, segment.manifest)
    return segment


def _check_version(found: Manifest, version_logged: int) -> None:
    """Refuse a manifest that is older than the log knows: what the log let go of since then may be lost to it."""
    if found.version < version_logged:
        older = f"is version {found.version}, older than version {version_logged}, which was there before"
        raise Corruption(manifest(found.segment), HEAD_BYTES, older)
