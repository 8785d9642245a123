"""The sizes of the layers of a range, in the form that the drain and compaction policies take."""

from __future__ import annotations

from shardstore.tables.segment import Segment
from shardstore.workers.maintenance.policies.compaction_policy import FileLayerSizes
from shardstore.workers.maintenance.policies.drain_policy import MemoryLayerSizes
from shardstore.workers.ranges.owned_range import OwnedRange


def file_layer_sizes(segment: Segment, rests: bool, now_ms: int) -> FileLayerSizes:
    """The sizes of the layers in files, for the compaction policy, and what has expired at this moment."""
    return FileLayerSizes(
        deltas=len(segment.manifest.deltas),
        delta_bytes=segment.delta_bytes,
        main_bytes=segment.main_bytes,
        bottoms_bytes=segment.bottoms_bytes,
        entries=segment.entries,
        tombstones=segment.tombstones,
        expired=segment.expired_by(now_ms),
        keys_asked=segment.keys_asked,
        layers_asked=segment.layers_asked,
        outside_bytes=segment.outside_bytes,
        entries_passed=segment.entries_passed,
        rests=rests,
    )


def memory_layer_sizes(owned: OwnedRange, rested_ns: int = 0, reads: int = 0, writes: int = 0) -> MemoryLayerSizes:
    """The sizes of the layers in memory, for the drain policy."""
    overlay = owned.overlay
    active_bytes = overlay.size_bytes - overlay.due_bytes
    due_bytes, lsn_first = owned.draining_bytes, overlay.lsn_first_kept
    cleared = overlay.cleared_ranges_kept
    return MemoryLayerSizes(owned.segment_id, active_bytes, due_bytes, lsn_first, rested_ns, reads, writes, cleared)
