"""Seals active layers: they become runs, which the next drains write into tables."""

from __future__ import annotations

from collections.abc import Mapping

from shardstore.workers.maintenance.kinds.job_slot import JobSlot
from shardstore.workers.maintenance.policies.drain_policy import (
    layers_at_rest,
    layers_read_much,
    layers_to_seal,
    layers_with_clears,
)
from shardstore.workers.maintenance.policies.layer_sizes import memory_layer_sizes
from shardstore.workers.maintenance.policies.rest import Rest
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.serving.write_path import WritePath


class Sealer:
    """Seals layers of one worker. `drain_slot` runs the drains."""

    def __init__(self, ranges: Mapping[int, OwnedRange], writes: WritePath, rest: Rest, drain_slot: JobSlot) -> None:
        self._ranges = ranges
        self._writes = writes
        self._rest = rest
        self._drain_slot = drain_slot
        self.sealed_for_readers = 0
        """How often a layer was sealed because clients had to ask for what is in it."""

    def seal(self, owned: OwnedRange) -> None:
        """Turn the active layer of a range into a run."""
        owned.seal(self._writes.lsn_applied)
        if owned.overlay.runs:
            self._drain_slot.worth_a_look = True

    def seal_full(self) -> None:
        """Seal the layers that must be sealed because they, the buffers or the log have grown."""
        sizes = [memory_layer_sizes(owned) for owned in self._ranges.values()]
        writes = self._writes
        for segment in layers_to_seal(sizes, writes.buffered_bytes, writes.wal.retained_bytes(), writes.limits):
            self.seal(self._ranges[segment])

    def seal_resting(self, now_ns: int) -> None:
        """Seal the layers that rest, are read much or clear ranges. They are looked at only at intervals."""
        if not self._rest.is_to_look(now_ns):
            return
        self._rest.look(self._ranges, now_ns)
        filled = [owned for owned in self._ranges.values() if owned.overlay.lsn_first]
        rest = self._rest
        sizes = [
            memory_layer_sizes(
                owned, rest.rested_ns(owned.segment_id, now_ns), *rest.reads_and_writes(owned.segment_id)
            )
            for owned in filled
        ]
        read_much = layers_read_much(sizes)
        self.sealed_for_readers += len(read_much)
        for segment in dict.fromkeys([*layers_at_rest(sizes), *read_much, *layers_with_clears(sizes)]):
            self.seal(self._ranges[segment])

    def seal_largest(self, wanted_bytes: int) -> None:
        """Seal active layers, largest first, until this many more bytes are due for a drain."""
        by_size = sorted(self._ranges.values(), key=lambda owned: owned.overlay.active.size_bytes, reverse=True)
        for owned in by_size:
            if wanted_bytes <= 0 or not owned.overlay.active:
                return
            wanted_bytes -= owned.overlay.size_bytes - owned.overlay.due_bytes
            self.seal(owned)
