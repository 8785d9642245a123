"""The figures of a worker, as STATS answers them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.maintenance.queue import MaintenanceQueue
from workers.ranges.owned_range import OwnedRange
from workers.serving.write_path import WritePath
from workers.wal.scan import TailCut


def figures(
    worker: int,
    ranges: Mapping[int, OwnedRange],
    writes: WritePath,
    maintenance: MaintenanceQueue,
    cut: TailCut | None,
) -> dict[str, Any]:
    """Plain values by name; sizes in bytes."""
    return {
        "worker": worker,
        "ranges": [_range_figures(owned) for owned in ranges.values()],
        "buffered_bytes": writes.buffered_bytes,
        "buffered_bytes_limit": writes.limits.worker_bytes,
        "wal": _wal_figures(writes, maintenance, cut),
        "jobs": {
            "finished": maintenance.jobs_finished,
            "running": int(maintenance.busy),
            "last_failure": maintenance.last_failure,
            "last_compaction": maintenance.last_compaction,
        },
    }


def _range_figures(owned: OwnedRange) -> dict[str, Any]:
    segment = owned.segment
    return {
        "segment": owned.segment_id,
        "start": owned.key_range.start,
        "end": owned.key_range.end,
        "epoch": owned.epoch,
        "overlay_entries": len(owned.overlay),
        "overlay_bytes": owned.overlay.size_bytes,
        "runs": len(owned.overlay.runs),
        "tables": segment.tables if segment else 0,
        "table_entries": segment.entries if segment else 0,
        "table_bytes": segment.bytes if segment else 0,
        "layers": segment.figures() if segment else {},
        "failure": str(owned.damage or owned.job_damage or ""),
    }


def _wal_figures(writes: WritePath, maintenance: MaintenanceQueue, cut: TailCut | None) -> dict[str, Any]:
    wal = writes.wal
    return {
        "lsn_appended": wal.lsn_appended,
        "lsn_durable": wal.lsn_durable,
        "lsn_checkpoint": maintenance.checkpoint(),
        "retained_bytes": wal.retained_bytes,
        "tail_cut_at_open": None if cut is None else {"file": cut.file, "offset": cut.offset, "bytes": cut.bytes},
    }
