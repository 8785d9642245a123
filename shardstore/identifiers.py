"""The small values that name things across processes."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple, NewType, TypeAlias

from shardstore.checksum import checksum

SegmentId = NewType("SegmentId", int)
WorkerId = NewType("WorkerId", int)
Epoch = NewType("Epoch", int)
Lsn = NewType("Lsn", int)
ClientId = NewType("ClientId", int)


LIFE_NONCE_BITS = 32
"""The low bits of the life of a log: chance. Above them its lives are counted; see workers/wal/log_document.py."""


def is_later_life(life: int, known: int) -> bool:
    """Whether a log has been opened since it had the life that is known of it."""
    return life >> LIFE_NONCE_BITS > known >> LIFE_NONCE_BITS


class RequestId(NamedTuple):
    """One logical request; a retry carries the same one. `client` is issued by the router, unguessable."""

    client: int
    sequence: int


class DirectoryIdentity(NamedTuple):
    """Which directory is meant: a path may come to name another one, and a copy is another one."""

    device: int
    inode: int


def tag_of_store(store: str) -> int:
    """What stands for the identity of a store in the header of messages; never 0."""
    return checksum(store.encode()) or 1


def client_of_worker(worker: int) -> ClientId:
    """The id under which a worker asks others. The router issues none of these, which are WORKERS_MAX, to a client."""
    return ClientId(worker + 1)


class Tombstone(Enum):
    """The mark of a deleted key inside the engine. It is no value of the user's space: nothing is reserved."""

    TOMBSTONE = 1

    def __repr__(self) -> str:
        return "TOMBSTONE"

    def __len__(self) -> int:
        """A tombstone has no payload, so that sizes of stored entries sum up."""
        return 0


TOMBSTONE: Final = Tombstone.TOMBSTONE
Stored: TypeAlias = bytes | Tombstone
"""What a layer holds for a key. A layer that holds nothing answers None."""

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Bytes that may be read without a copy."""
