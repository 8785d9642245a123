"""The statistics of a worker, as STATS returns them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from shardstore.files.formats import LOG_FILE
from shardstore.memory_plan import MemoryPlan
from shardstore.stats_schema import FileLayerStats, LayerStats, MemoryStats, RangeStats, WalStats, WorkStats
from shardstore.tables.cache import SegmentCache
from shardstore.workers.jobs.figures import JobTotals
from shardstore.workers.maintenance.queue import MaintenanceQueue
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.window_share import WindowShare
from shardstore.workers.serving.buffer_lease import BufferLease
from shardstore.workers.serving.open_scans import OpenScans
from shardstore.workers.serving.write_path import WritePath
from shardstore.workers.wal.scan import TailCut

RANGES_LISTED_MAX = 2_048
"""Maximum number of ranges in one reply, which must fit into a message."""


def worker_statistics(
    worker: int,
    ranges: Mapping[int, OwnedRange],
    writes: WritePath,
    maintenance: MaintenanceQueue,
    cut: TailCut | None,
) -> dict[str, Any]:
    """The statistics as plain values by name; sizes are in bytes."""
    return {
        "worker": worker,
        "ranges": [_range_statistics(owned) for owned in _listed(ranges.values())],
        "ranges_omitted": max(0, len(ranges) - RANGES_LISTED_MAX),
        "sum": _work(ranges.values()),
        "buffered_bytes": writes.buffered_bytes,
        "buffered_bytes_limit": writes.limits.worker_bytes,
        "wal": _wal_statistics(writes, maintenance, cut),
        "jobs": {
            "finished": maintenance.jobs_finished,
            "running": len(maintenance.running),
            "last_failure": maintenance.last_failure,
            "last_compaction": maintenance.compactions.latest,
            "sealed_for_readers": maintenance.sealer.sealed_for_readers,
        },
        "old_files": _old_files(ranges.values(), writes),
    }


def _old_files(ranges: Iterable[OwnedRange], writes: WritePath) -> Counter[str]:
    """The number of files that have a former format version, by kind; nothing of kinds that have none."""
    old = Counter({LOG_FILE.kind: writes.wal.old_files()})
    for owned in ranges:
        if owned.segment:
            old.update(owned.segment.old_files)
    return +old


def memory_statistics(
    plan: MemoryPlan,
    lease: BufferLease,
    writes: WritePath,
    cache: SegmentCache,
    windows: WindowShare,
    unsent_bytes: int,
    scans: OpenScans,
) -> MemoryStats:
    """The memory that is allowed and used, by purpose, in bytes."""
    kept = cache.statistics()
    return {
        "lease": {"allowed": lease.bytes, "used": writes.held_bytes, "wanted": lease.wanted},
        "overlays": {"used": writes.buffered_bytes},
        "logged": {"used": writes.logged_bytes},
        "segments": {"allowed": plan.cache_bytes, "used": kept["block_bytes"] + kept["readers_bytes"]},
        "windows": {"allowed": windows.bytes_max, "used": windows.used_bytes},
        "unread_replies": {"allowed": plan.reply_bytes, "used": unsent_bytes},
        "scans": {"allowed": plan.view_bytes, "used": scans.memory_bytes},
        "drain_bytes_per_second": writes.drain_rate.bytes_per_second,
    }


def _listed(ranges: Collection[OwnedRange]) -> Iterable[OwnedRange]:
    """All ranges, or as many as fit into one reply: those with a failure first."""
    if len(ranges) <= RANGES_LISTED_MAX:
        return ranges
    return sorted(ranges, key=lambda owned: not (owned.failure or owned.last_failure))[:RANGES_LISTED_MAX]


def _range_statistics(owned: OwnedRange) -> RangeStats:
    segment = owned.segment
    return {
        "segment": owned.segment_id,
        "start": owned.key_range.start,
        "end": owned.key_range.end,
        "epoch": owned.epoch,
        "state": str(owned.state),
        "overlay_entries": len(owned.overlay),
        "overlay_bytes": owned.overlay.size_bytes,
        "runs": len(owned.overlay.runs),
        "cleared_ranges": owned.overlay.cleared_ranges,
        "reads_in_memory": owned.reads_in_memory,
        "read_directly": owned.slot is not None and owned.slot.is_open,
        "tables": segment.tables if segment else 0,
        "layers": _layers(owned),
        **_work([owned]),
        "failure": owned.failure,
        "last_failure": owned.last_failure,
    }


def _layers(owned: OwnedRange) -> LayerStats:
    """Entries and bytes of each layer: the active one and the runs in memory, the others in files."""
    overlay = owned.overlay
    files: FileLayerStats = owned.segment.statistics() if owned.segment else {}
    return {
        "active_entries": len(overlay.active),
        "active_bytes": overlay.active.size_bytes,
        "run_entries": sum(map(len, overlay.runs)),
        "run_bytes": sum(run.size_bytes for run in overlay.runs),
        "table_entries": owned.segment.entries if owned.segment else 0,
        **files,
    }


def _work(ranges: Iterable[OwnedRange]) -> WorkStats:
    """The cost of jobs in these ranges since the worker started, the cost of lookups, and the size of the files.

    write_amplification   bytes that drains and compactions wrote, per byte of columns that was drained
    read_amplification    layers of files searched, per key looked up in them, since the present version is served
    space_amplification   bytes in files, per byte that a full compaction would leave (an estimate)

    None where nothing was drained, looked up or stored.
    """
    ranges = list(ranges)
    segments = [owned.segment for owned in ranges if owned.segment]
    drains = sum((owned.drains for owned in ranges), JobTotals())
    compactions = sum((owned.compactions for owned in ranges), JobTotals())
    written_bytes = drains.sum.written_bytes + compactions.sum.written_bytes
    keys_asked = sum(segment.keys_asked for segment in segments)
    layers_asked = sum(segment.layers_asked for segment in segments)
    file_bytes = sum(segment.bytes for segment in segments)
    return {
        "drains": drains.plain(),
        "compactions": compactions.plain(),
        "file_bytes": file_bytes,
        "write_amplification": _ratio(written_bytes, drains.sum.read_bytes),
        "read_amplification": _ratio(layers_asked, keys_asked),
        "space_amplification": _ratio(file_bytes, sum(segment.live_bytes() for segment in segments)),
    }


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def _wal_statistics(writes: WritePath, maintenance: MaintenanceQueue, cut: TailCut | None) -> WalStats:
    wal = writes.wal
    return {
        "lsn_appended": wal.lsn_appended,
        "lsn_durable": wal.lsn_durable,
        "lsn_checkpoint": maintenance.releases.checkpoint(),
        "retained_bytes": wal.retained_bytes(),
        "tail_cut_at_open": None if cut is None else {"file": cut.file, "offset": cut.offset, "bytes": cut.bytes},
    }
