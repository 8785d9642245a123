"""Computes how large a range may be, and how long a changed range cools down.

The limit grows with the store. A small store has small ranges, so that each worker has a share from the first mebibytes
on. As the store grows, its old ranges become small in comparison, and are merged. The cooldown grows with the range,
since a change of a large range costs more.
"""

from __future__ import annotations

from shardstore.limits import GIB, MIB
from shardstore.router.policies.history import History
from shardstore.router.policies.loads import RangeLoad, StoreLoad
from shardstore.topology_options import TopologyOptions

FIRST_SPLIT_BYTES = MIB
"""A range with fewer bytes is not split, so a smaller store is one range."""
RANGES_PER_WORKER = 2
"""The minimum number of ranges for each worker of a store that is spread over its workers."""
COOLDOWN_BYTES = GIB
"""A range of this size has the whole cooldown, a smaller range a proportional part of it."""


def split_bytes(loads: StoreLoad, options: TopologyOptions) -> int:
    """The bytes above which a range is split: the option `split_bytes`, or a share of the store if that is less.

    A store counts as large until the sizes of all its ranges are known.
    """
    return max(min(FIRST_SPLIT_BYTES, options.split_bytes), fair_range_bytes(loads, options))


def fair_range_bytes(loads: StoreLoad, options: TopologyOptions) -> int:
    """The bytes of a range if each worker had RANGES_PER_WORKER equal ranges; at most the option `split_bytes`.

    Splits use it for the size of pieces, which then can grow.
    """
    if not loads.is_known:
        return options.split_bytes
    return min(options.split_bytes, loads.size_bytes_total // (RANGES_PER_WORKER * max(1, len(loads.receivers()))))


def has_cooled_down(load: RangeLoad, history: History, options: TopologyOptions, now_ns: int) -> bool:
    """Whether the latest change of a range was long enough ago to change it again for its bytes."""
    cooldown_ns = options.cooldown_ns * min(load.size_bytes, COOLDOWN_BYTES) // COOLDOWN_BYTES
    return history.age_ns(load.segment, now_ns) >= cooldown_ns
