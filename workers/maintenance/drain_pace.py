"""How drains that overtake a compaction leave time for it, chosen from plain numbers.

Both run in one process. A drain adds a delta, which every read may have to ask; only compactions take deltas away. So
the more deltas there are, the longer is the pause after a drain, and writers that are faster than compactions are
slowed down step by step; at last no drain is left to those ranges that have very many.
"""

from __future__ import annotations

from workers.maintenance.compaction_policy import DELTAS_MAX

DELTAS_STOP = 4 * DELTAS_MAX
"""A range with so many is not drained before it is compacted."""
PAUSE_DELTAS = DELTAS_MAX // 2
"""With so many deltas the compaction has as much time as the drain had; with twice as many twice as much."""


def pause_ns(drain_ns: int, deltas: int) -> int:
    """How long a compaction is left alone after a drain that took so long and left so many deltas."""
    return drain_ns * deltas // PAUSE_DELTAS
