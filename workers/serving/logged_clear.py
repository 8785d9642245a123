"""Range deletions between the log and the overlay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import BUFFERED_ENTRY_BYTES
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.serving.logged_write import LoggedWrite, WaitingAsker


@dataclass(slots=True)
class LoggedClear(LoggedWrite):
    """A range deletion that is not applied yet. It has no keys, as it deletes all keys of `key_range`."""

    key_range: KeyRange = EVERYTHING

    @classmethod
    def of(cls, owned: OwnedRange, key_range: KeyRange, waiting: list[WaitingAsker]) -> LoggedClear:
        """The deletion of all keys of this range, which lies in the owned one."""
        return cls(owned, [], None, len(key_range.start) + len(key_range.end), waiting, key_range=key_range)

    def admitted_bytes(self) -> int:
        """Upper bound on the bytes by which the overlay grows."""
        return self.payload_bytes + BUFFERED_ENTRY_BYTES

    def get(self, key: bytes) -> Stored | None:
        """A tombstone for a key of the range; None for another one."""
        return TOMBSTONE if key in self.key_range else None

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """A tombstone for each key of the range; None for others."""
        return list(map(self.get, keys))

    def apply_to(self, layer: ActiveLayer) -> int:
        """Apply it to a layer. Returns the growth of its `size_bytes`."""
        return layer.clear(self.key_range, self.lsn)

    def apply(self) -> int:
        """Apply it to the overlay. Returns by how many bytes that has grown."""
        return self.owned.clear(self.key_range, self.lsn)
