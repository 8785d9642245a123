"""Opens ranges: their segments are read from the manifests. Their overlays come from the log, see replay.py."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from shardstore.errors import Corruption, StorageFailure, Unavailable
from shardstore.files.documents import HEAD_BYTES
from shardstore.files.file_names import SEGMENTS, manifest, segment_of
from shardstore.key_range import KeyRange
from shardstore.seams.entropy import Entropy
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.cache import SegmentCache
from shardstore.tables.manifest import Manifest, read_manifest
from shardstore.tables.segment import Segment
from shardstore.wire.messages import Assignment
from shardstore.workers.jobs.orphans import clear_orphans
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.inheritance import Inheritance
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.role import WAITING
from shardstore.workers.segment.manifest_writer import create_segment, open_manifest, renew_manifest
from shardstore.workers.wal.log_document import read_log_document
from shardstore.workers.wal.recovery import RecoveredLog, recover


def readable_manifests(filesystem: Filesystem, store: str) -> list[Manifest]:
    """Every manifest that can be read. Damage is reported when its range is opened, not here."""
    found = []
    for name in filesystem.list_directory(SEGMENTS):
        segment = segment_of(name)
        if segment is not None and filesystem.exists(manifest(segment)):
            try:
                found.append(read_manifest(filesystem, store, segment).without_window())
            except (Corruption, StorageFailure):
                continue
    return found


def known_segments(filesystem: Filesystem, manifests: Sequence[Manifest]) -> dict[int, int]:
    """Epochs by segment; 0 for a segment whose directory has no manifest: a crash cut its creation or removal short."""
    segments = filter(None, map(segment_of, filesystem.list_directory(SEGMENTS)))
    bare = [segment for segment in segments if not filesystem.exists(manifest(segment))]
    return dict.fromkeys(bare, 0) | {manifest.segment: manifest.epoch for manifest in manifests}


def highest_lsn_in_tables(filesystem: Filesystem, store: str, worker: int, manifests: Sequence[Manifest]) -> int:
    """The highest LSN of the worker's log that is in tables. The log itself may have lost that record."""
    try:
        log_id = read_log_document(filesystem, store, worker).log_id
    except FileNotFoundError:
        return 0
    return max((manifest.checkpoint_of(log_id) for manifest in manifests), default=0)


def open_log(
    filesystem: Filesystem, store: str, worker: int, entropy: Entropy, clock_ms: int
) -> tuple[RecoveredLog, dict[int, int]]:
    """Recover the log of a worker. Returns it with the epochs of all segments in the data directory.

    `clock_ms`: the moment that the clock of the worker may reach before another lease of it is logged.

    Raises StorageFailure. Raises Corruption for damage; then nothing has been changed.
    """
    manifests = readable_manifests(filesystem, store)
    lsn_floor = highest_lsn_in_tables(filesystem, store, worker, manifests)
    return recover(filesystem, worker, store, lsn_floor, entropy, clock_ms=clock_ms), known_segments(
        filesystem, manifests
    )


def open_range(
    filesystem: Filesystem, store: str, assignment: Assignment, cache: SegmentCache, version_logged: int
) -> OwnedRange:
    """Open a range, or create it. One that cannot be opened is returned as well, and raises why when it is used.

    After damage it stays like that; if the disk refused an operation, see reopening.py.

    `version_logged`: the version of the manifest that the log knows of; 0 if it knows none.

    Raises StorageFailure if the segment could not be created, since the router must not take it for created.
    """
    key_range = KeyRange(assignment.start, assignment.end)
    segment, dedup = None, DedupWindow()
    damage: Corruption | Unavailable | None = None
    try:
        segment, dedup = _open_segment(filesystem, store, assignment, key_range, cache, version_logged)
    except Corruption as found:
        damage = found
    except StorageFailure as found:
        if assignment.create:
            raise
        damage = Unavailable(f"segment {assignment.segment} cannot be opened, {found}; it is tried again")
    return OwnedRange(
        assignment.segment, key_range, assignment.epoch, segment, dedup, damage, version_logged=version_logged
    )


def can_be_opened(filesystem: Filesystem, store: str, segment: int) -> bool:
    """Whether the disk no longer keeps a segment from being opened. If it is damaged, opening it will say so."""
    try:
        with suppress(Corruption, FileNotFoundError):
            renew_manifest(filesystem, store, segment)
    except StorageFailure:
        return False
    return True


def open_child(
    filesystem: Filesystem,
    store: str,
    assignment: Assignment,
    cache: SegmentCache,
    version_logged: int,
    inheritance: Inheritance,
) -> OwnedRange:
    """Open the child of a change. Without files of its own it waits for its adoption; else it is an ordinary range."""
    if version_logged or filesystem.exists(manifest(assignment.segment)):
        return open_range(filesystem, store, assignment, cache, version_logged)
    key_range = KeyRange(assignment.start, assignment.end)
    return OwnedRange(
        assignment.segment,
        key_range,
        assignment.epoch,
        None,
        DedupWindow(),
        role=WAITING,
        inheritance=inheritance,
    )


def _open_segment(
    filesystem: Filesystem,
    store: str,
    assignment: Assignment,
    key_range: KeyRange,
    cache: SegmentCache,
    version_logged: int,
) -> tuple[Segment, DedupWindow]:
    path = manifest(assignment.segment)
    if not filesystem.exists(path):
        if not assignment.create or version_logged:
            raise Corruption(path, 0, "the segment is in the route map, but its manifest is missing")
        created = create_segment(filesystem, store, assignment.segment, key_range, assignment.epoch)
        return Segment(filesystem, created, cache), DedupWindow()
    published = open_manifest(filesystem, store, assignment.segment)
    if (published.start, published.end) != (key_range.start, key_range.end):
        raise Corruption(path, 0, f"holds {published.start!r} to {published.end!r}, not {key_range}")
    _check_version(published, version_logged)
    with suppress(StorageFailure):  # orphans do no harm, and the next start clears them
        clear_orphans(filesystem, published)
    return Segment(filesystem, published, cache), DedupWindow.from_document(published.dedup)


def _check_version(found: Manifest, version_logged: int) -> None:
    """Raise Corruption for a manifest older than the log knows: records that it lacks may have been released since."""
    if found.version < version_logged:
        older = f"is version {found.version}, older than version {version_logged}, which was there before"
        raise Corruption(manifest(found.segment), HEAD_BYTES, older)
