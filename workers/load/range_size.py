"""The size of a range, as policies count it."""

from __future__ import annotations

from typing import NamedTuple

from shardstore.limits import BUFFERED_ENTRY_BYTES
from shardstore.workers.ranges.owned_range import OwnedRange


class RangeSize(NamedTuple):
    """Sizes of a range: `stored_bytes` is its share of tables, `overlay_bytes` is what its overlay holds.

    The overlay counts keys and values, not the overhead in memory, so that a drain does not shrink a range.
    `live_bytes` is an estimate that leaves out tombstones and one hidden entry for each; overwritten values count until
    they are compacted. `last` is the highest key in tables, empty if there is none.
    """

    stored_bytes: int
    overlay_bytes: int
    live_bytes: int
    entries: int
    last: bytes

    @property
    def bytes(self) -> int:
        """Bytes in tables and overlay."""
        return self.stored_bytes + self.overlay_bytes


def size_of(owned: OwnedRange) -> RangeSize:
    """The size of a range now; if it could not be opened, only that of its overlay."""
    overlay, segment = owned.overlay, owned.segment
    overlay_bytes = max(0, overlay.size_bytes - len(overlay) * BUFFERED_ENTRY_BYTES)
    entries, deletes = len(overlay), sum([layer.deletes for layer in overlay.layers()])
    if segment is None:
        return RangeSize(0, overlay_bytes, _live(overlay_bytes, entries, deletes), entries, b"")
    last = max((record.key_last for record in segment.manifest.tables), default=b"")
    entries += segment.entries
    live_bytes = _live(segment.bytes + overlay_bytes, entries, deletes + segment.tombstones)
    return RangeSize(segment.bytes, overlay_bytes, live_bytes, entries, last)


def _live(all_bytes: int, entries: int, deletes: int) -> int:
    """The share of the bytes in entries that are neither tombstones nor hidden by one."""
    return all_bytes * max(0, entries - 2 * deletes) // entries if entries else 0
