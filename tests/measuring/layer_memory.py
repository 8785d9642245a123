"""Fills an active layer as a worker does: python -m tests.measuring.layer_memory KEY_BYTES VALUE_BYTES ENTRIES.

Prints by how many bytes the process has grown, and how many bytes the layer counted.
"""

from __future__ import annotations

import gc
import sys

import psutil

from shardstore.limits import MIB
from shardstore.wire.columns import decode, encode
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.serving.scan_path import SORTED_A_TURN


def main() -> None:
    """Measure once, after filling another layer, which brings the allocator to its usual state."""
    key_bytes, value_bytes, entries = map(int, sys.argv[1:])
    batch = max(1, min(1_000, MIB // (key_bytes + value_bytes)))
    before = ActiveLayer()
    _fill(before, key_bytes, value_bytes, batch, batch)
    gc.collect()
    process = psutil.Process()
    grown_from = process.memory_info().rss
    layer = ActiveLayer()
    _fill(layer, key_bytes, value_bytes, entries, batch)
    while layer.sort(SORTED_A_TURN) == SORTED_A_TURN:  # as a scan makes it
        pass
    gc.collect()
    sys.stdout.write(f"{process.memory_info().rss - grown_from} {layer.size_bytes}\n")


def _fill(layer: ActiveLayer, key_bytes: int, value_bytes: int, entries: int, batch: int) -> None:
    for first in range(0, entries, batch):
        numbers = range(first, first + batch)
        keys = encode([(number * 11_400_714_819_323_198_485 % 2**64).to_bytes(key_bytes, "big") for number in numbers])
        values = encode([bytes(value_bytes)] * batch)
        layer.put(
            decode(keys.frame, keys.fixed, batch, 1, key_bytes),
            decode(values.frame, values.fixed, batch, 0, value_bytes),
            len(keys.frame) + len(values.frame),
            first + 1,
        )


if __name__ == "__main__":
    main()
