"""Decides from plain numbers how long drains pause, to leave time for a compaction.

Both run in one process, and drains overtake a compaction. A drain adds a delta, which every read may have to ask; only
compactions remove deltas. So the more deltas there are, the longer is the pause after a drain, and writers that are
faster than compactions are gradually slowed down.
"""

from __future__ import annotations

from shardstore.limits import SECOND_NS
from shardstore.workers.maintenance.policies.compaction_policy import DELTAS_MAX

PAUSE_DELTAS = DELTAS_MAX // 2
"""With this many deltas the pause is as long as the drain was; with twice as many, twice as long."""
DRAIN_PAUSE_NS_MAX = 5 * SECOND_NS
"""Maximum pause: a drain that took very long may have waited for something else."""


def drain_pause_ns(drain_ns: int, deltas: int) -> int:
    """The pause after a drain that took `drain_ns` and left a range with this many deltas."""
    return min(drain_ns * deltas // PAUSE_DELTAS, DRAIN_PAUSE_NS_MAX)
