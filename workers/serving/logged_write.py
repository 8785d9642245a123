"""Writes between the log and the overlay, and the replies to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple, TypeAlias

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import KeyRange
from shardstore.limits import BUFFERED_ENTRY_BYTES
from shardstore.seams.effects import Send
from shardstore.wire.messages import OutcomeReply, Refusal, encode
from shardstore.wire.wire_format import Flag, Op, Status
from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.results import FAILED, Taken, WriteResult, ending_of
from shardstore.workers.serving.reply import Asker

WaitingAsker: TypeAlias = tuple[Asker, WriteResult]
_PLAIN = frozenset((Op.PUT, Op.PUT_UNTIL, Op.DELETE, Op.DELETE_RANGE))
_OF_CONDITION = frozenset((Op.COMPARE_AND_SET, Op.BATCH, Op.EXPIRE))
_NO_COUNTER = Refusal(
    "the value is no counter, which is a whole number of 64 bits in decimal digits, or the sum would be beyond "
    "64 bits; it stays as it is"
)
_NO_RESULT = Refusal("the request with this id was no INCREMENT")
_NOT_TAKEN = Refusal("the request with this id was no TAKE")


class Ahead(NamedTuple):
    """What was logged for a segment, up to some write: at least all that is not applied yet (take.py).

    It is made anew when it has more than `entries_max` entries.
    """

    segment: int
    layer: ActiveLayer
    entries_max: int


@dataclass(slots=True)
class LoggedWrite:
    """A write that is not applied yet. It is in the WAL once `lsn` is not 0.

    `values` is None for deletes; `deletes` counts the tombstones among them, and `may_expire` says whether some expire.
    `waiting` holds the requests that get a
    reply once the write is applied: the request itself, its retries, and others whose reply depends on this write,
    which a crash could undo until then. `emptied`: keys of which none has a value once the write is applied.
    `ahead`: a layer with what was logged up to this write.
    """

    owned: OwnedRange
    keys: list[bytes]
    values: Sequence[Stored] | None
    payload_bytes: int
    waiting: list[WaitingAsker]
    deletes: int = 0
    emptied: KeyRange | None = None
    may_expire: bool = False
    ahead: Ahead | None = field(default=None, init=False)
    lsn: int = field(default=0, init=False)
    _entries: dict[bytes, Stored] | None = field(default=None, init=False)

    def admitted_bytes(self) -> int:
        """Upper bound on the bytes by which the overlay grows."""
        return self.payload_bytes + len(self.keys) * BUFFERED_ENTRY_BYTES

    @property
    def entries(self) -> dict[bytes, Stored]:
        """The value or tombstone that the write stores for each of its keys."""
        if self._entries is None:
            self._entries = dict(zip(self.keys, self.values or repeat(TOMBSTONE), strict=False))
        return self._entries

    def apply_to(self, layer: ActiveLayer) -> int:
        """Apply the write to a layer. Returns the growth of its `size_bytes`."""
        if self.values is None:
            return layer.delete(self.keys, self.payload_bytes, self.lsn)
        return layer.change(self.keys, self.values, self.deletes, self.may_expire, self.payload_bytes, self.lsn)

    def get(self, key: bytes) -> Stored | None:
        """The value or tombstone that the write stores for a key; None if it has neither."""
        return self.entries.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """What the write stores for each key; None where it stores nothing."""
        return list(map(self.entries.get, keys))

    def apply(self) -> int:
        """Apply it to the overlay. Returns by how many bytes that has grown."""
        grown_bytes = self.owned.apply(
            self.keys, self.values, self.payload_bytes, self.lsn, self.deletes, self.may_expire
        )
        if self.emptied is not None:
            self.owned.empty_ranges.note(self.emptied)
        return grown_bytes


def reply_to(asker: Asker, result: WriteResult, pressure: int) -> Send:
    """Reply to a write, or to a question for the outcome of one, with its result."""
    op = asker.header.op
    if op in _PLAIN:
        return asker.accept(pressure)
    if op == Op.OUTCOME:
        return asker.accept(pressure, (encode(OutcomeReply(ending_of(result).value)),))
    if op in _OF_CONDITION:
        return asker.accept(pressure, entries=int(result != FAILED))
    if op == Op.TAKE:
        return _reply_to_take(asker, result, pressure)
    if result is None or isinstance(result, Taken):
        return asker.refuse(Status.INVALID, _NO_RESULT)
    if result == FAILED:
        return asker.refuse(Status.INVALID, _NO_COUNTER)
    return asker.accept(pressure, (result,), Flag.VALUES_FIXED, 1)


def _reply_to_take(asker: Asker, result: WriteResult, pressure: int) -> Send:
    if isinstance(result, Taken):
        return asker.accept(pressure, result, entries=1)
    if result == FAILED:
        return asker.accept(pressure, (b"", b""))
    return asker.refuse(Status.INVALID, _NOT_TAKEN)
