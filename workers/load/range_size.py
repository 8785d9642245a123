"""How large a range is, as policies count it."""

from __future__ import annotations

from typing import NamedTuple

from shardstore.workers.overlay.active_layer import ENTRY_OVERHEAD_BYTES
from shardstore.workers.ranges.owned_range import OwnedRange


class RangeSize(NamedTuple):
    """Bytes in tables (the range's share of them) and in the overlay, what of both is alive, entries, the highest key.

    Of the overlay keys and values count, not what an entry costs in memory: a range does not shrink by a drain.
    `live_bytes` leaves out tombstones and what they hide, one entry each, as far as their number tells; values
    that newer ones hide are in it until they are compacted. `last` is that in tables, empty for none.
    """

    stored_bytes: int
    overlay_bytes: int
    live_bytes: int
    entries: int
    last: bytes

    @property
    def bytes(self) -> int:
        """All there is."""
        return self.stored_bytes + self.overlay_bytes


def size_of(owned: OwnedRange) -> RangeSize:
    """The size of a range as it is now; of one that could not be opened, of what is in memory."""
    overlay, segment = owned.overlay, owned.segment
    overlay_bytes = max(0, overlay.size_bytes - len(overlay) * ENTRY_OVERHEAD_BYTES)
    entries, deletes = len(overlay), sum([layer.deletes for layer in overlay.layers()])
    if segment is None:
        return RangeSize(0, overlay_bytes, _live(overlay_bytes, entries, deletes), entries, b"")
    last = max((record.key_last for record in segment.manifest.tables), default=b"")
    entries += segment.entries
    live_bytes = _live(segment.bytes + overlay_bytes, entries, deletes + segment.tombstones)
    return RangeSize(segment.bytes, overlay_bytes, live_bytes, entries, last)


def _live(all_bytes: int, entries: int, deletes: int) -> int:
    """The share of the entries that are neither tombstones nor hidden by one."""
    return all_bytes * max(0, entries - 2 * deletes) // entries if entries else 0
