"""Small values that identify things across processes."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Final, NamedTuple, NewType, NoReturn, TypeAlias

from shardstore.checksum import checksum

SegmentId = NewType("SegmentId", int)
WorkerId = NewType("WorkerId", int)
Epoch = NewType("Epoch", int)
ClientId = NewType("ClientId", int)


LIFE_NONCE_BITS = 32
"""The low bits of a log's life are random; the bits above them count its lives. See workers/wal/log_document.py."""


def is_later_life(life: int, known: int) -> bool:
    """Whether `life` is a later life of a log than `known`: the log has been opened since."""
    return life >> LIFE_NONCE_BITS > known >> LIFE_NONCE_BITS


class RequestId(NamedTuple):
    """Identifies a logical request; a retry has the same id. The router issues `client`, which is unguessable."""

    client: int
    sequence: int


new_request_id: Callable[[tuple[int, int]], RequestId] = partial(tuple.__new__, RequestId)
"""Makes a RequestId of a tuple, in half of the time that RequestId itself takes."""


class DirectoryIdentity(NamedTuple):
    """Identifies a directory, as its path may later name another one. A copy of it has another identity."""

    device: int
    inode: int


def tag_of_store(store: str) -> int:
    """Return the number that represents a store's identity in the header of messages; never 0."""
    return checksum(store.encode()) or 1


def client_of_worker(worker: int) -> ClientId:
    """Return the client id with which a worker asks other workers. The router never issues these ids to clients."""
    return ClientId(worker + 1)


class Tombstone(Enum):
    """Marks a deleted key inside the store. It is not a bytes object, so users can store any value."""

    TOMBSTONE = 1

    def __repr__(self) -> str:
        return "TOMBSTONE"

    def __len__(self) -> int:
        """Return 0, so that the sizes of entries can be added up."""
        return 0


TOMBSTONE: Final = Tombstone.TOMBSTONE


class Expiring(NamedTuple):
    """A value that the store shows until a moment, in milliseconds since the epoch. From then on its key is absent."""

    moment: int
    value: bytes

    def __len__(self) -> NoReturn:
        """Raise TypeError: it is no plain value, and a column with it has no items of one length."""
        raise TypeError("an expiring value has no length")

    def __bool__(self) -> bool:
        """Return True: there is something stored."""
        return True


class Lasting(NamedTuple):
    """A value of a request, to be shown for so many milliseconds from when a worker takes the request."""

    lifetime: int
    value: bytes

    def __len__(self) -> NoReturn:
        """Raise TypeError, as that of Expiring."""
        raise TypeError("a lasting value has no length")

    def __bool__(self) -> bool:
        """Return True: there is a value."""
        return True


new_expiring: Callable[[tuple[int, bytes]], Expiring] = partial(tuple.__new__, Expiring)
"""Makes an Expiring of moment and value without a step in Python."""
new_lasting: Callable[[tuple[int, bytes]], Lasting] = partial(tuple.__new__, Lasting)
"""Makes a Lasting of lifetime and value without a step in Python."""

Stored: TypeAlias = bytes | Tombstone | Expiring
"""What a layer holds for a key. A layer that holds nothing for it returns None."""

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Bytes that may be read without a copy."""
