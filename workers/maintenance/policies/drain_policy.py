"""Decides from plain numbers which active layers to seal.

A layer is sealed when it has reached its maximum size. When the worker's buffers are half full, the largest layer is
sealed; when its log is half full, the layer with the oldest write, which keeps log files from release. A layer that
rests is sealed too: its drain frees memory and log while nobody waits for it. A small layer must rest longer, so that
not every single write costs a drain.

Clients read files themselves (wire/board_format.py), but must ask the worker for what is in memory. So a layer is
sealed as well if it is read much more than written: its drain saves these requests. The price is a small table at most
once in REST_LOOK_NS, and its compaction. A layer that clears ranges of keys is sealed too: until its drain, clients
must ask for every key of the range.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shardstore.limits import KIB, SECOND_NS, WAL_RETAINED_BYTES_MAX
from shardstore.workers.serving.admission import MemoryLimits

REST_NS = 5 * SECOND_NS
"""A range rests after this time without a write."""
LONG_REST_NS = 60 * SECOND_NS
REST_BYTES = 64 * KIB
"""A layer of at least this size is sealed once its range rests, a smaller one only after a long rest."""
READS_MIN = 64
"""So many requests between two looks are worth a drain."""
READS_PER_WRITE = 3


class MemoryLayerSizes(NamedTuple):
    """What a range has in memory.

    active_bytes   the active layer, and the runs that are not due for a drain
    run_bytes      the runs that the next drains will take
    lsn_first      LSN of the oldest write for which no drain is due; 0 if there is none
    rested_ns      time since the latest write to the range
    reads, writes  since the look before: requests of clients that read all else from files, and writes to the range
    cleared        ranges of keys that layers clear for which no drain is due
    """

    segment: int
    active_bytes: int
    run_bytes: int
    lsn_first: int
    rested_ns: int = 0
    reads: int = 0
    writes: int = 0
    cleared: int = 0


def layers_to_seal(
    layers: Sequence[MemoryLayerSizes], buffered_bytes: int, wal_bytes: int, limits: MemoryLimits
) -> list[int]:
    """The segments whose active layer must be sealed, because it, the buffers or the log have grown."""
    filled = [layer for layer in layers if layer.lsn_first]
    chosen = [layer.segment for layer in filled if layer.active_bytes >= limits.seal_bytes]
    draining_bytes = sum(layer.run_bytes for layer in layers)
    if not chosen and filled and buffered_bytes - draining_bytes > limits.worker_bytes // 2:
        chosen.append(max(filled, key=lambda layer: layer.active_bytes).segment)
    if not chosen and filled and not draining_bytes and wal_bytes > WAL_RETAINED_BYTES_MAX // 2:
        chosen.append(min(filled, key=lambda layer: layer.lsn_first).segment)
    return chosen


def layers_at_rest(layers: Sequence[MemoryLayerSizes]) -> list[int]:
    """The segments whose active layer should be sealed, because nothing has been written to it for long enough."""
    return [
        layer.segment
        for layer in layers
        if layer.lsn_first and layer.rested_ns >= (REST_NS if layer.active_bytes >= REST_BYTES else LONG_REST_NS)
    ]


def layers_read_much(layers: Sequence[MemoryLayerSizes]) -> list[int]:
    """The segments whose active layer should be sealed, because clients must ask for what is in it."""
    return [
        layer.segment
        for layer in layers
        if layer.lsn_first and layer.reads >= max(READS_MIN, READS_PER_WRITE * layer.writes)
    ]


def layers_with_clears(layers: Sequence[MemoryLayerSizes]) -> list[int]:
    """The segments whose active layer should be sealed, because range deletions are in memory."""
    return [layer.segment for layer in layers if layer.cleared]
