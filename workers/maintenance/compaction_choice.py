"""Which segment the next compaction is of."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Mapping

from shardstore.workers.maintenance.compaction_policy import COMPLETE, Compaction, choose
from shardstore.workers.maintenance.layer_sizes import layer_sizes
from shardstore.workers.ranges.owned_range import OwnedRange


def due_compaction(
    ranges: Mapping[int, OwnedRange], asked: Iterable[int], resting: Container[int], compacted_last: int
) -> tuple[int, Compaction] | None:
    """The first segment that is due, and what to do: those that were asked for before those that the policy chooses.

    These have their turns in order of their numbers, and what was tried last has none before the others, so that no
    segment keeps them waiting, not even one whose compactions fail.
    """
    in_order = sorted(ranges)
    next_in_turn = bisect_right(in_order, compacted_last)
    in_turn = in_order[next_in_turn:] + in_order[:next_in_turn]
    wanted = dict.fromkeys(asked, COMPLETE)
    first = [segment for segment in wanted if segment != compacted_last]
    for segment in (*first, *in_turn):
        owned = ranges[segment]
        if owned.segment is None or owned.job_damage or owned.fence_lsn is not None:
            continue
        compaction = wanted.get(segment) or choose(layer_sizes(owned.segment, segment in resting))
        if compaction:
            return segment, compaction
    return None
