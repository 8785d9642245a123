"""Keys that are one value, without a code in front: all keys of a space have the same type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shardstore.keys.elements.batch import EncodedKeys
from shardstore.keys.elements.element import Malformed, Mismatch
from shardstore.keys.elements.integers import IntElement
from shardstore.keys.elements.strings import text_of, utf8
from shardstore.keys.elements.uuids import UUID_BYTES, packed_uuids, unpacked_uuids
from shardstore.keys.key_type import KeyType

_INT = IntElement()


class BytesKeys(KeyType[bytes]):
    """Keys that are bytes, as they are."""

    description = "Bytes()"

    def _encode(self, key: bytes) -> bytes:
        _check(key, bytes)
        return bytes(key)

    def _decode(self, data: bytes) -> bytes:
        return data

    def _encode_columns(self, keys: Sequence[bytes]) -> list[bytes] | None:
        return list(keys) if _all_are(keys, bytes) else None

    def _decode_columns(self, datas: Sequence[bytes]) -> list[bytes]:
        return list(datas)


class StrKeys(KeyType[str]):
    """Keys that are strings, as UTF-8: they sort by their characters."""

    description = "Str()"

    def _encode(self, key: str) -> bytes:
        _check(key, str)
        return utf8(key)

    def _decode(self, data: bytes) -> str:
        return text_of(data)

    def _encode_columns(self, keys: Sequence[str]) -> list[bytes] | None:
        try:
            return list(map(str.encode, keys)) if _all_are(keys, str) else None
        except UnicodeEncodeError:
            return None

    def _decode_columns(self, datas: Sequence[bytes]) -> list[str] | None:
        try:
            return list(map(bytes.decode, datas))
        except UnicodeDecodeError:
            return None


class IntKeys(KeyType[int]):
    """Keys that are ints of any size up to that of a key, as in a tuple."""

    description = "Int()"

    def _encode(self, key: int) -> bytes:
        if not _INT.accepts(type(key)):
            raise Mismatch("int", key)
        return _INT.encode(key)

    def _decode(self, data: bytes) -> int:
        if not data:
            raise Malformed("no int is empty")
        value, after = _INT.decode(data, 0, len(data))
        if after < len(data):
            raise Malformed(f"the int ends at byte {after}")
        return value

    def _encode_columns(self, keys: Sequence[int]) -> list[bytes] | None:
        try:
            return _INT.encode_column(keys) if _all_are(keys, int) else None
        except Mismatch:
            return None

    def _decode_columns(self, datas: Sequence[bytes]) -> list[int] | None:
        batch = EncodedKeys(datas)
        if (batch.starts == batch.ends).any():
            return None
        try:
            values, after = _INT.decode_column(batch, batch.starts)
        except Malformed:
            return None
        return values if (after == batch.ends).all() else None


class UuidKeys(KeyType[UUID]):
    """Keys that are UUIDs: their 16 bytes."""

    description = "Uuid()"

    def _encode(self, key: UUID) -> bytes:
        if type(key) is not UUID:
            raise Mismatch("UUID", key)
        return key.bytes

    def _decode(self, data: bytes) -> UUID:
        if len(data) != UUID_BYTES:
            raise Malformed(f"{len(data)} bytes instead of {UUID_BYTES}")
        return UUID(bytes=data)

    def _encode_columns(self, keys: Sequence[UUID]) -> list[bytes] | None:
        return packed_uuids(keys) if _all_are(keys, UUID) else None

    def _decode_columns(self, datas: Sequence[bytes]) -> list[UUID] | None:
        return unpacked_uuids(datas) if set(map(len, datas)) == {UUID_BYTES} else None


def _check(key: object, kind: type) -> None:
    if not isinstance(key, kind):
        raise Mismatch(kind.__name__, key)


def _all_are(keys: Sequence[Any], kind: type) -> bool:
    """Whether all keys are of exactly this type."""
    return set(map(type, keys)) == {kind}
