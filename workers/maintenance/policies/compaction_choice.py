"""Chooses the segment to compact next."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Mapping

from shardstore.workers.maintenance.policies.compaction_policy import (
    COMPLETE,
    KEYS_ASKED_MIN,
    PASSED_MIN,
    Compaction,
    choose_compaction,
    may_become_due,
)
from shardstore.workers.maintenance.policies.layer_sizes import file_layer_sizes
from shardstore.workers.ranges.owned_range import OwnedRange


def due_compaction(
    ranges: Mapping[int, OwnedRange], asked: Iterable[int], resting: Container[int], compacted_last: int, now_ms: int
) -> tuple[int, Compaction] | None:
    """The next segment that is due for a compaction, and what to merge there; None if none is due.

    Segments in `asked` come first; then those that the policy chooses take turns in the order of their numbers. The
    segment that was tried last comes after all others, so that it cannot keep them waiting, even if its compactions
    fail. A version of a segment is looked at again only if it has been read often or rests, and if that can make a
    compaction due, or if more of it than half may have expired at `now_ms`: a worker may have hundreds of ranges, and
    this function runs several times a second.
    """
    in_order = sorted(ranges)
    next_in_turn = bisect_right(in_order, compacted_last)
    in_turn = in_order[next_in_turn:] + in_order[:next_in_turn]
    wanted = dict.fromkeys(asked)
    first = [segment for segment in wanted if segment != compacted_last]
    for segment in (*first, *in_turn):
        owned = ranges[segment]
        if owned.segment is None or owned.job_damage or owned.role.is_fenced:
            continue
        if segment in wanted:
            return segment, COMPLETE
        version = owned.segment.manifest.version
        may_have_expired = owned.segment.expiring and owned.segment.expired_by(now_ms)
        if owned.version_settled == version and not may_have_expired:
            continue
        is_read = owned.segment.keys_asked >= KEYS_ASKED_MIN or owned.segment.entries_passed >= PASSED_MIN
        is_read_or_rests = is_read or segment in resting
        if owned.version_looked_at == version and not is_read_or_rests and not may_have_expired:
            continue
        sizes = file_layer_sizes(owned.segment, segment in resting, now_ms)
        compaction = choose_compaction(sizes)
        if compaction:
            return segment, compaction
        owned.note_no_compaction(whatever_is_read=not may_become_due(sizes))
    return None
