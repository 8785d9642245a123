"""Reads of a child whose parents are in another process: what the child does not know is asked of them.

    GET --> overlay of the child --> keys it does not know --GET, OF_PARENT--> router --> owner of the parent
                                                     answer <--------------------------------+

A parent that is here is read at once. Each read asks each other parent once, all its keys together. What the parent
answers was true at the fence and is true as long as the child knows nothing newer, as it did when the read began. A
read that gets no answer is forgotten: its client asks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shardstore.identifiers import TOMBSTONE
from shardstore.limits import MILLISECOND_NS, REPLY_BYTES_AIM, SECOND_NS, VALUE_BYTES_MAX
from shardstore.seams.effects import Effect, Send
from shardstore.wire.columns import InvalidColumn, decode, encode
from shardstore.wire.messages import Refusal
from shardstore.wire.topology import Relative
from shardstore.wire.wire_format import Flag, Header, Op, Status
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.registration import ROUTER
from shardstore.workers.serving.read_path import cut
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.requests import keys_of

PATIENCE_NS = 2 * SECOND_NS
READS_MAX = 1_024
RETRY_NS = 5 * MILLISECOND_NS


@dataclass(slots=True)
class Read:
    """One GET that waits for parents. `values`: as known by now; `unknown`: places that no parent has answered."""

    asker: Asker
    values: list[bytes | None]
    unknown: set[int]
    asked: dict[int, list[int]]
    end_ns: int


class RemoteReads:
    """All reads that wait for another worker.

    `client`: under which id this worker asks, see router/sessions.py. `sequence`: above which its requests are
    numbered, at random, so that an answer to an earlier process is not taken for one to this.
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
    ) -> list[Effect]:
        """Answer a GET of a child, now or when its parents have. Raises InvalidRequest, Corruption."""
        self.forget_old(now_ns)
        keys = keys_of(asker.header, frames, owned.key_range)
        keys = keys[: max(1, REPLY_BYTES_AIM // owned.value_bytes_mean())]
        found = owned.overlay.get_many(keys)
        if owned.inheritance is not None:
            owned.inheritance.fill(found, keys)
        values = [None if entry is TOMBSTONE else entry for entry in found]
        unknown = {at for at, entry in enumerate(found) if entry is None}
        read = Read(asker, values, unknown, {}, now_ns + PATIENCE_NS)
        if not unknown:
            return [_answer(read, pressure)]
        if len(self._reads) >= READS_MAX:
            return [
                asker.refuse(Status.UNAVAILABLE, Refusal("too many reads wait for a parent of the range"), RETRY_NS)
            ]
        return [self._ask(read, parent, keys, now_ns) for parent in parents if self._places(read, parent, keys)]

    def answered(self, header: Header, frames: Sequence[bytes], pressure: int) -> list[Effect]:
        """Take what a parent has answered, if a read still waits for it. Raises MalformedMessage, InvalidColumn."""
        read = self._reads.pop(header.sequence, None)
        if read is None:
            return []
        if header.status != Status.OK:  # the parent is gone: by now the child has files, or its owner is down
            self._drop(read)
            return [read.asker.refuse(Status.UNAVAILABLE, Refusal("a parent of the range does not answer"), RETRY_NS)]
        places = read.asked.pop(header.sequence)
        if not 0 < header.entries <= len(places):
            raise InvalidColumn(f"{header.entries} values for {len(places)} keys")
        fixed = bool(header.flags & Flag.VALUES_FIXED)
        values = decode(frames[1], fixed, header.entries, 0, VALUE_BYTES_MAX, nullable=True)
        for at, value in zip(places, values, strict=False):
            read.values[at] = value
            read.unknown.discard(at)
        return [] if read.asked else [_answer(read, pressure)]

    def _ask(self, read: Read, parent: Relative, keys: Sequence[bytes], now_ns: int) -> Send:
        places = self._places(read, parent, keys)
        self._sequence += 1
        self._reads[self._sequence] = read
        read.asked[self._sequence] = places
        column = encode([keys[at] for at in places])
        flags = Flag.OF_PARENT | (read.asker.header.flags & Flag.PRESENCE) | (Flag.KEYS_FIXED if column.fixed else 0)
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
        """Let go of reads that were not answered in time."""
        for sequence in [sequence for sequence, read in self._reads.items() if now_ns >= read.end_ns]:
            del self._reads[sequence]


def _answer(read: Read, pressure: int) -> Send:
    """The values from the front up to the first that is still unknown, or to as many as one reply is to hold."""
    known = min(read.unknown, default=len(read.values))
    if not known:
        return read.asker.refuse(Status.UNAVAILABLE, Refusal("a parent of the range did not answer in full"), RETRY_NS)
    header = read.asker.header
    values = read.values[:known]
    values = cut([None if value is None else b"" for value in values] if header.flags & Flag.PRESENCE else values)
    column = encode(values)
    flags = (Flag.VALUES_FIXED if column.fixed else 0) | (Flag.MORE if len(values) < header.entries else 0)
    return read.asker.accept(pressure, (column.frame,), flags, len(values))
