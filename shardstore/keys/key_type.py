"""What every type of keys offers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from shardstore.errors import InvalidRequest, UndecodableKey
from shardstore.keys.elements.batch import COLUMNS_FROM, in_chunks
from shardstore.keys.elements.element import Malformed, Mismatch

K = TypeVar("K")


class KeyType(Protocol[K]):
    """Turns keys of one type into bytes that sort as the keys do, and back.

    Keys that are equal have the same bytes, and only they. The bytes of a description never change.
    """

    @property
    def description(self) -> str:
        """The type as a program writes it, such as `Tuple(str, int)`. It is stored; `from_description` reads it."""
        ...

    def encode(self, key: K) -> bytes:
        """Return the bytes of a key.

        Args:
            key: A key of this type.

        Returns:
            The bytes. The client checks their length, together with what is put in front of them.

        Raises:
            InvalidRequest: It is no key of this type. The text says where, what is wanted and what was given.
        """
        try:
            return self._encode(key)
        except Mismatch as error:
            raise InvalidRequest(error.text(self.description)) from None

    def decode(self, data: bytes) -> K:
        """Return the key with these bytes.

        Args:
            data: What `encode` has returned.

        Returns:
            The key.

        Raises:
            UndecodableKey: `encode` writes no such bytes.
        """
        try:
            return self._decode(data)
        except Malformed as error:
            raise UndecodableKey(self.description, data, str(error)) from None

    def encode_many(self, keys: Iterable[K]) -> list[bytes]:
        """Return the bytes of each key, as `encode` does.

        Args:
            keys: Keys of this type.

        Returns:
            The bytes of each, in the same order.

        Raises:
            InvalidRequest: One is no key of this type.
        """
        encoded: list[bytes] = []
        for chunk in in_chunks(keys):
            columns = self._encode_columns(chunk) if len(chunk) >= COLUMNS_FROM else None
            encoded += list(map(self.encode, chunk)) if columns is None else columns
        return encoded

    def decode_many(self, datas: Iterable[bytes]) -> list[K]:
        """Return the key of each item, as `decode` does.

        Args:
            datas: The bytes of keys of this type.

        Returns:
            The keys, in the same order.

        Raises:
            UndecodableKey: `encode` writes no such bytes as one of the items.
        """
        decoded: list[K] = []
        for chunk in in_chunks(datas):
            columns = self._decode_columns(chunk) if len(chunk) >= COLUMNS_FROM else None
            decoded += list(map(self.decode, chunk)) if columns is None else columns
        return decoded

    def __repr__(self) -> str:
        """Return the description."""
        return self.description

    def _encode(self, key: K) -> bytes:
        """Return the bytes of a key. Raises Mismatch."""
        ...

    def _decode(self, data: bytes) -> K:
        """Return the key with these bytes. Raises Malformed."""
        ...

    def _encode_columns(self, keys: Sequence[K]) -> list[bytes] | None:
        """Return the bytes of many keys; None if they are to be taken one by one."""
        ...

    def _decode_columns(self, datas: Sequence[bytes]) -> list[K] | None:
        """Return many keys; None if they are to be taken one by one."""
        ...
