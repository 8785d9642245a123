"""Which active layers to seal, chosen from plain numbers.

A layer is sealed when it has reached its own size, when the worker's buffers or its log are half full (the largest,
respectively the one that holds the log back), or when nothing was written to it for a while: its drain then frees
memory and log while nobody waits for it. A small layer rests longer, so that not every single write costs a drain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shardstore.limits import KIB, SECOND_NS, WAL_RETAINED_BYTES_MAX
from shardstore.workers.serving.admission import MemoryLimits

REST_NS = 5 * SECOND_NS
"""A range to which nothing was written for so long rests."""
LONG_REST_NS = 60 * SECOND_NS
REST_BYTES = 64 * KIB
"""A layer of so many bytes is sealed as soon as its range rests, a smaller one after a long rest."""


class LayerSize(NamedTuple):
    """The active layer of one range, with the runs that are not due for a drain; and those that the next drains take.

    `lsn_first` is that of the oldest write for which no drain is due, 0 when there is none. `rested_ns` tells how long
    nothing has been written to the range.
    """

    segment: int
    active_bytes: int
    run_bytes: int
    lsn_first: int
    rested_ns: int = 0


def layers_to_seal(layers: Sequence[LayerSize], buffered_bytes: int, wal_bytes: int, limits: MemoryLimits) -> list[int]:
    """Segments whose active layer is to become a run now."""
    filled = [layer for layer in layers if layer.lsn_first]
    chosen = [layer.segment for layer in filled if layer.active_bytes >= limits.seal_bytes]
    draining_bytes = sum(layer.run_bytes for layer in layers)
    if not chosen and filled and buffered_bytes - draining_bytes > limits.worker_bytes // 2:
        chosen.append(max(filled, key=lambda layer: layer.active_bytes).segment)
    if not chosen and filled and not draining_bytes and wal_bytes > WAL_RETAINED_BYTES_MAX // 2:
        chosen.append(min(filled, key=lambda layer: layer.lsn_first).segment)
    return chosen


def layers_at_rest(layers: Sequence[LayerSize]) -> list[int]:
    """Segments whose active layer is to become a run because nothing is written to it any more."""
    return [
        layer.segment
        for layer in layers
        if layer.lsn_first and layer.rested_ns >= (REST_NS if layer.active_bytes >= REST_BYTES else LONG_REST_NS)
    ]
