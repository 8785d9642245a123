"""Writes between the log and the overlay, and the replies to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from typing import TypeAlias

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.limits import BUFFERED_ENTRY_BYTES
from shardstore.seams.effects import Send
from shardstore.wire.messages import OutcomeReply, Refusal, encode
from shardstore.wire.wire_format import Flag, Op, Status
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.results import FAILED, WriteResult, ending_of
from shardstore.workers.serving.reply import Asker

WaitingAsker: TypeAlias = tuple[Asker, WriteResult]
_PLAIN = frozenset((Op.PUT, Op.DELETE))
_NO_COUNTER = Refusal(
    "the value is no counter, which is a whole number of 64 bits in decimal digits, or the sum would be beyond "
    "64 bits; it stays as it is"
)
_NO_RESULT = Refusal("the request with this id was no INCREMENT")


@dataclass(slots=True)
class LoggedWrite:
    """A write that is not applied yet. It is in the WAL once `lsn` is not 0.

    `values` is None for deletes. `waiting` holds the requests that get a reply once the write is applied: the request
    itself, its retries, and others whose reply depends on this write, which a crash could undo until then.
    """

    owned: OwnedRange
    keys: list[bytes]
    values: list[bytes] | None
    payload_bytes: int
    waiting: list[WaitingAsker]
    lsn: int = field(default=0, init=False)
    _entries: dict[bytes, Stored] | None = field(default=None, init=False)

    def admitted_bytes(self) -> int:
        """Upper bound on the bytes by which the overlay grows."""
        return self.payload_bytes + len(self.keys) * BUFFERED_ENTRY_BYTES

    def get(self, key: bytes) -> Stored | None:
        """The value or tombstone that the write stores for a key; None if it has neither."""
        if self._entries is None:
            self._entries = dict(zip(self.keys, self.values or repeat(TOMBSTONE), strict=False))
        return self._entries.get(key)


def reply_to(asker: Asker, result: WriteResult, pressure: int) -> Send:
    """Reply to a write, or to a question for the outcome of one, with its result."""
    op = asker.header.op
    if op in _PLAIN:
        return asker.accept(pressure)
    if op == Op.OUTCOME:
        return asker.accept(pressure, (encode(OutcomeReply(ending_of(result).value)),))
    if op == Op.COMPARE_AND_SET:
        return asker.accept(pressure, entries=int(result != FAILED))
    if result is None:
        return asker.refuse(Status.INVALID, _NO_RESULT)
    if result == FAILED:
        return asker.refuse(Status.INVALID, _NO_COUNTER)
    return asker.accept(pressure, (result,), Flag.VALUES_FIXED, 1)
