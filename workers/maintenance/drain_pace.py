"""How drains that overtake a compaction leave time for it, chosen from plain numbers.

Both run in one process. A drain adds a delta, which every read may have to ask; only compactions take deltas away. So
the more deltas there are, the longer is the pause after a drain, and writers that are faster than compactions are
slowed down step by step.
"""

from __future__ import annotations

from shardstore.limits import SECOND_NS
from shardstore.workers.maintenance.compaction_policy import DELTAS_MAX

PAUSE_DELTAS = DELTAS_MAX // 2
"""With so many deltas the compaction has as much time as the drain had; with twice as many twice as much."""
PAUSE_NS_MAX = 5 * SECOND_NS
"""A drain that took very long may have waited for something else."""


def pause_ns(drain_ns: int, deltas: int) -> int:
    """How long a compaction is left alone after a drain that took so long and left so many deltas."""
    return min(drain_ns * deltas // PAUSE_DELTAS, PAUSE_NS_MAX)
