"""Values as MessagePack."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import msgpack

from shardstore.errors import InvalidRequest

_SAME_HASH_MAX = 64
_first = itemgetter(0)


class MsgPackCodec:
    """Stores MessagePack: what JSON has, bytes, and dicts with keys that are int, float, bool or None too.

    A tuple is read back as a list. A value that could not be read back is refused: an int above 64 bits, or a tuple as
    the key of a dict.
    """

    name = "MsgPack"
    version = 1

    def encode(self, value: Any) -> bytes:
        """Return MessagePack. Raises InvalidRequest for values that it does not have."""
        return self.encode_many([value])[0]

    def decode(self, data: bytes) -> Any:
        """Return the value. Raises ValueError for bytes that are no MessagePack."""
        try:
            return msgpack.unpackb(data)
        except _FLAWS:
            return _read_any_keys(data)

    def encode_many(self, values: Sequence[Any]) -> list[bytes]:
        """Return MessagePack of each. Raises InvalidRequest as `encode` does."""
        try:
            packed = list(map(msgpack.packb, values))
            self.decode_many(packed)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidRequest(f"a value of MsgPack is no MessagePack: {error}") from None
        return packed

    def decode_many(self, datas: Sequence[bytes]) -> list[Any]:
        """Return the values. Raises ValueError as `decode` does."""
        try:
            return list(map(msgpack.unpackb, datas))
        except _FLAWS:
            return list(map(self.decode, datas))


_FLAWS = (ValueError, TypeError, msgpack.UnpackException)


def _read_any_keys(data: bytes) -> Any:
    """Read a value with dicts whose keys are no strings, for which msgpack must be asked."""
    try:
        return msgpack.unpackb(data, strict_map_key=False, object_pairs_hook=_dict_of)
    except _FLAWS as error:
        raise ValueError(f"no MessagePack: {error}") from None


def _dict_of(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a dict. Raises ValueError for keys that were chosen for their hashes: a dict of them takes hours."""
    floats = [key for key, _ in pairs if type(key) is float]
    if len(floats) - len(set(map(float.__hash__, floats))) > _SAME_HASH_MAX:
        raise ValueError("the keys of a dict have the same hash")
    return dict(pairs)
