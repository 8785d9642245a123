"""Reads of a child whose parents other workers own: keys that the child does not have are read from the parents.

    GET --> overlay of the child --> keys it does not have --GET, OF_PARENT--> router --> owner of the parent
                                                      reply <--------------------------------+

A parent on this worker is read at once. A read asks each other parent once, for all keys together. The values in its
reply have not changed since the fence, and those that expire come with their moments. The parent judges none, as the
clock of the child may be ahead. And the child had nothing newer when the read began. A read that gets no reply
is dropped: its client asks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shardstore.identifiers import TOMBSTONE, Expiring
from shardstore.limits import MILLISECOND_NS, REPLY_BYTES_AIM, SECOND_NS, VALUE_BYTES_MAX
from shardstore.seams.effects import Effect, Send
from shardstore.tables.expired import values_of
from shardstore.wire.columns import InvalidColumn, decode, decode_ending, encode
from shardstore.wire.link_names import ROUTER
from shardstore.wire.messages import Refusal
from shardstore.wire.topology import Relative
from shardstore.wire.wire_format import Flag, Header, Op, Status
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.serving.hybrid_clock import HybridClock
from shardstore.workers.serving.read_path import cut_to_size
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.requests import keys_of

PATIENCE_NS = 2 * SECOND_NS
READS_MAX = 1_024
RETRY_NS = 5 * MILLISECOND_NS


@dataclass(slots=True)
class Read:
    """One GET that waits for parents.

    `values`: those known so far. `unknown`: the positions of keys that are not known yet. `asked`: by the sequence of a
    request to a parent, the positions that it asks for.
    """

    asker: Asker
    values: list[bytes | Expiring | None]
    unknown: set[int]
    asked: dict[int, list[int]]
    end_ns: int


class RemoteReads:
    """All reads that wait for another worker.

    `client`: the client id with which this worker asks. `sequence`: a random number from which its requests count, so
    that a reply to an earlier process of this worker is not taken for one to this process.
    """

    def __init__(self, client: int, sequence: int) -> None:
        self._client = client
        self._sequence = sequence
        self._reads: dict[int, Read] = {}

    def get(
        self,
        owned: OwnedRange,
        parents: Sequence[Relative],
        asker: Asker,
        frames: Sequence[bytes],
        now_ns: int,
        pressure: int,
        clock: HybridClock,
    ) -> list[Effect]:
        """Reply to a GET of a child, or ask its parents first. Raises InvalidRequest, Corruption, StorageFailure."""
        self.forget_old(now_ns)
        keys = keys_of(asker.header, frames, owned.key_range)
        keys = keys[: max(1, REPLY_BYTES_AIM // owned.value_bytes_mean())]
        found = owned.overlay.get_many(keys)
        if owned.inheritance is not None:
            owned.inheritance.fill(found, keys)
        values: list[bytes | Expiring | None] = [None if entry is TOMBSTONE else entry for entry in found]
        unknown = {at for at, entry in enumerate(found) if entry is None}
        read = Read(asker, values, unknown, {}, now_ns + PATIENCE_NS)
        if not unknown:
            return [_reply(read, pressure, clock)]
        if len(self._reads) >= READS_MAX:
            return [
                asker.refuse(Status.UNAVAILABLE, Refusal("too many reads wait for a parent of the range"), RETRY_NS)
            ]
        return [self._ask(read, parent, keys, now_ns) for parent in parents if self._places(read, parent, keys)]

    def take_reply(self, header: Header, frames: Sequence[bytes], pressure: int, clock: HybridClock) -> list[Effect]:
        """Take the reply of a parent, if a read still waits for it. Raises InvalidColumn."""
        read = self._reads.pop(header.sequence, None)
        if read is None:
            return []
        if header.status != Status.OK:  # the parent is gone, as the child has files by now, or its owner is down
            self._drop(read)
            return [read.asker.refuse(Status.UNAVAILABLE, Refusal("a parent of the range does not answer"), RETRY_NS)]
        places = read.asked.pop(header.sequence)
        if not 0 < header.entries <= len(places):
            raise InvalidColumn(f"{header.entries} values for {len(places)} keys")
        if header.flags & Flag.VALUES_FIXED:
            values = decode(frames[1], True, header.entries, 0, VALUE_BYTES_MAX)
        else:
            values, _ = decode_ending(frames[1], header.entries, VALUE_BYTES_MAX, nullable=True)
        for at, value in zip(places, values, strict=False):
            read.values[at] = value
            read.unknown.discard(at)
        return [] if read.asked else [_reply(read, pressure, clock)]

    def _ask(self, read: Read, parent: Relative, keys: Sequence[bytes], now_ns: int) -> Send:
        places = self._places(read, parent, keys)
        self._sequence += 1
        self._reads[self._sequence] = read
        read.asked[self._sequence] = places
        column = encode([keys[at] for at in places])
        flags = Flag.OF_PARENT | (Flag.KEYS_FIXED if column.fixed else 0)
        header = Header(
            Op.GET,
            flags=flags,
            entries=len(places),
            segment=parent.segment,
            epoch=parent.epoch,
            duration_ms=(read.end_ns - now_ns) // MILLISECOND_NS,
            client=self._client,
            sequence=self._sequence,
        )
        return Send(ROUTER, b"", (header.encode(), column.frame))

    @staticmethod
    def _places(read: Read, parent: Relative, keys: Sequence[bytes]) -> list[int]:
        key_range = parent.key_range
        return [at for at in sorted(read.unknown) if keys[at] in key_range]

    def _drop(self, read: Read) -> None:
        for sequence in read.asked:
            self._reads.pop(sequence, None)

    def forget_old(self, now_ns: int) -> None:
        """Drop the reads whose time is over."""
        for sequence in [sequence for sequence, read in self._reads.items() if now_ns >= read.end_ns]:
            del self._reads[sequence]


def _reply(read: Read, pressure: int, clock: HybridClock) -> Send:
    """The reply: the values before the first one that is still unknown, but at most as many as one reply may hold."""
    known = min(read.unknown, default=len(read.values))
    if not known:
        return read.asker.refuse(Status.UNAVAILABLE, Refusal("a parent of the range did not answer in full"), RETRY_NS)
    header = read.asker.header
    values = values_of([*read.values[:known]], clock)
    values = cut_to_size(
        [None if value is None else b"" for value in values] if header.flags & Flag.PRESENCE else values
    )
    column = encode(values)
    flags = (Flag.VALUES_FIXED if column.fixed else 0) | (Flag.MORE if len(values) < header.entries else 0)
    return read.asker.accept(pressure, (column.frame,), flags, len(values))
