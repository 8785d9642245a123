"""How large a range is, as policies count it."""

from __future__ import annotations

from typing import NamedTuple

from shardstore.workers.overlay.active_layer import ENTRY_OVERHEAD_BYTES
from shardstore.workers.ranges.owned_range import OwnedRange


class RangeSize(NamedTuple):
    """Bytes in tables (the range's share of them) and in the overlay, entries in both, the highest key in tables.

    Of the overlay keys and values count, not what an entry costs in memory: a range does not shrink by a drain.
    """

    stored_bytes: int
    overlay_bytes: int
    entries: int
    last: bytes


def size_of(owned: OwnedRange) -> RangeSize:
    """The size of a range as it is now; of one that could not be opened, of what is in memory."""
    overlay, segment = owned.overlay, owned.segment
    entries = len(overlay)
    overlay_bytes = max(0, overlay.size_bytes - entries * ENTRY_OVERHEAD_BYTES)
    if segment is None:
        return RangeSize(0, overlay_bytes, entries, b"")
    last = max((record.key_last for record in segment.manifest.tables), default=b"")
    return RangeSize(segment.bytes, overlay_bytes, entries + segment.entries, last)
