"""An atomic batch of a space: the one of the client, with keys and values of the space's types."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from shardstore.ends import Moment
from shardstore.spaces.space_codec import SpaceCodec

K = TypeVar("K")
V = TypeVar("V")


class BytesBatch(Protocol):
    """What a batch of the client collects."""

    @property
    def applied(self) -> bool | None:
        """Whether it was applied; None until that is known."""
        ...

    def put(self, key: bytes, value: bytes, *, ttl: float | None = None, expires_at: Moment | None = None) -> None:
        """Add: set a value."""
        ...

    def delete(self, key: bytes) -> None:
        """Add: remove a key."""
        ...

    def require(self, key: bytes, expected: bytes | None) -> None:
        """Add a condition."""
        ...

    def discard(self) -> None:
        """Take nothing more."""
        ...


class TypedBatch(Generic[K, V]):
    """The part of a batch of a space that is not about input and output."""

    def __init__(self, codec: SpaceCodec[K, V], batch: BytesBatch) -> None:
        self._codec = codec
        self._contents = batch

    @property
    def applied(self) -> bool | None:
        """Whether the batch was applied; None until that is known.

        Returns:
            True if all of it was applied. False if a condition did not hold: then nothing was.
        """
        return self._contents.applied

    def put(self, key: K, value: V, *, ttl: float | None = None, expires_at: Moment | None = None) -> None:
        """Add: set the value of a key.

        Args:
            key: A key of the space's type.
            value: A value that the codec of the space takes.
            ttl: Seconds from the commit until the value expires. None: those of the space; `math.inf`: never.
            expires_at: When it expires, in seconds since the epoch, or as a datetime with a time zone.

        Raises:
            InvalidRequest: An argument is not allowed, the batch is full, or it was committed or left.
        """
        lifetime = self._codec.ttl_for(ttl, expires_at)
        data = self._codec.values.encode(value)
        self._contents.put(self._codec.key(key), data, ttl=lifetime, expires_at=expires_at)

    def delete(self, key: K) -> None:
        """Add: remove a key. It is no error if the key has no value.

        Args:
            key: A key of the space's type.

        Raises:
            The errors of `put`.
        """
        self._contents.delete(self._codec.key(key))

    def require(self, key: K, expected: V | None) -> None:
        """Add a condition: the batch is applied only if the key has this value before it.

        Args:
            key: A key of the space's type.
            expected: The value that the key must have, compared by its bytes as the codec writes them; None: no value.

        Raises:
            InvalidRequest: As for `put`, or the batch requires another value of this key already.
        """
        self._contents.require(self._codec.key(key), None if expected is None else self._codec.values.encode(expected))

    def discard(self) -> None:
        """Take nothing more. What was not committed never will be."""
        self._contents.discard()
