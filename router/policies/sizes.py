"""How large a range may be, and for how long a changed one rests: both grow with what there is.

While a store is small its ranges are small, so that each worker has its share from the first mebibytes on; as it
grows, those that were large are small, and are merged in the end. What is changed is quickly done with a small range
and costs more with a large one.
"""

from __future__ import annotations

from shardstore.limits import GIB, MIB
from shardstore.router.policies.history import History
from shardstore.router.policies.loads import RangeLoad, StoreLoad
from shardstore.topology_options import TopologyOptions

FIRST_SPLIT_BYTES = MIB
"""A store that holds less is one range."""
RANGES_PER_WORKER = 2
"""So many ranges at least has each worker of a store that is spread."""
COOLDOWN_BYTES = GIB
"""A range of this size rests for the whole cooldown, a smaller one for its share of it."""


def split_bytes(loads: StoreLoad, options: TopologyOptions) -> int:
    """The bytes from which a range is split now: `split_bytes`, or a share of the store while that is less.

    A store of which the size is not known, since its workers did not report all ranges yet, counts as large.
    """
    return max(min(FIRST_SPLIT_BYTES, options.split_bytes), share_bytes(loads, options))


def share_bytes(loads: StoreLoad, options: TopologyOptions) -> int:
    """The same without a least size. A split aims at it, so that its parts need none soon while they grow alike."""
    if not loads.is_known:
        return options.split_bytes
    return min(options.split_bytes, loads.size_bytes_total // (RANGES_PER_WORKER * max(1, len(loads.receivers()))))


def has_rested(load: RangeLoad, history: History, options: TopologyOptions, now_ns: int) -> bool:
    """Whether a range that was changed may be changed again for its bytes."""
    rest_ns = options.cooldown_ns * min(load.size_bytes, COOLDOWN_BYTES) // COOLDOWN_BYTES
    return history.age_ns(load.segment, now_ns) >= rest_ns
