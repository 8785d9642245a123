"""Chooses the runs for the next drain, within the limits of a drain and of its spec."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate

from shardstore.limits import DRAIN_RANGES_MAX, DRAIN_SPEC_BYTES_MAX
from shardstore.workers.jobs.specs import SegmentDrain
from shardstore.workers.ranges.owned_range import OwnedRange


def drains_of(ranges: Iterable[OwnedRange], lsn_durable: int, bytes_max: int) -> list[SegmentDrain]:
    """The drains of ranges with durable runs that are due; the oldest runs first, as they keep log files from release.

    Each drain takes as many runs as fit in what is left of `bytes_max`; the first one takes at least one run.
    """
    drains: list[SegmentDrain] = []
    window_bytes = record_bytes = 0
    for owned in sorted([owned for owned in ranges if owned.overlay.runs], key=_lsn_first):
        runs = [run for run in owned.overlay.runs if run.lsn_last <= lsn_durable]
        if not any(run.due for run in runs) or owned.segment is None or owned.job_damage:
            continue
        if owned.waits_for_compaction:
            continue
        sizes = list(accumulate([run.size_bytes for run in runs]))
        fitting = bisect_right(sizes, bytes_max)
        window_bytes += owned.dedup.size_bytes
        record_bytes += owned.segment.record_bytes
        fits_in_spec = max(window_bytes, record_bytes) <= DRAIN_SPEC_BYTES_MAX and len(drains) < DRAIN_RANGES_MAX
        if drains and not (fitting and fits_in_spec):
            break
        last = max(0, fitting - 1)
        bytes_max -= sizes[last]
        lsn_last = runs[last].lsn_last
        dedup = owned.dedup.to_document(lsn_durable)
        overlay = owned.overlay
        table_ends = overlay.table_ends(lsn_last)
        drains.append(SegmentDrain(owned.segment_id, overlay.lsn_first, lsn_last, owned.epoch, dedup, table_ends))
    return drains


def freed_bytes(drains: Iterable[SegmentDrain], ranges: Mapping[int, OwnedRange]) -> int:
    """The memory that these drains will free."""
    runs = ((drain, run) for drain in drains for run in ranges[drain.segment].overlay.runs)
    return sum([run.size_bytes for drain, run in runs if run.lsn_last <= drain.lsn_last])


def _lsn_first(owned: OwnedRange) -> int:
    return owned.overlay.lsn_first
