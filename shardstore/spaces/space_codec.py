"""The keys and values of a space as bytes of the store, and back.

A key in the store is the prefix of the space, and behind it what the type of keys makes of the key. Raw bytes without a
space have no prefix; there the keys that are reserved for spaces are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from math import inf
from operator import is_not, itemgetter
from typing import Any, Generic, TypeVar

from shardstore.errors import InvalidRequest, UndecodableKey, UndecodableValue
from shardstore.key_range import KeyRange, range_of_prefix
from shardstore.keys import Bytes, KeyType
from shardstore.spaces.reserved import RESERVED
from shardstore.values import Raw, Values

K = TypeVar("K")
V = TypeVar("V")
MS = 1000
_second = itemgetter(1)
_is_there = partial(is_not, None)


class SpaceCodec(Generic[K, V]):
    """Turns keys and values of a space into bytes of the store, and back. `name` is empty for raw bytes.

    `ttl_ms`: how long values are there if nothing else is said; 0: for ever.
    """

    def __init__(self, name: str, prefix: bytes, key_type: KeyType[K], values: Values[V], ttl_ms: int = 0) -> None:
        self.name = name
        self.prefix = prefix
        self.key_type = key_type
        self.values = values
        self.ttl = ttl_ms / MS if ttl_ms else None
        self.key_range = range_of_prefix(prefix) if prefix else KeyRange(b"", RESERVED)
        self.moments = False
        self._behind_prefix = itemgetter(slice(len(prefix), None))

    def ttl_for(self, ttl: float | None, expires_at: object) -> float | None:
        """Return the lifetime of a value for which a caller gives these: `math.inf` says that it does not expire."""
        if ttl is None and expires_at is None:
            return self.ttl
        return None if ttl == inf else ttl

    def key(self, key: K) -> bytes:
        """Return a key as in the store. Raises InvalidRequest."""
        return self.checked(self.prefix + self.key_type.encode(key))

    def keys(self, keys: Iterable[K]) -> list[bytes]:
        """Return many keys as in the store. Raises InvalidRequest."""
        encoded = list(map(self.prefix.__add__, self.key_type.encode_many(keys)))
        if not self.prefix:
            self.checked(max(encoded, default=b""))
        return encoded

    def checked(self, key: bytes) -> bytes:
        """Return the key of an entry, or a bound of keys. Raises InvalidRequest if it is reserved."""
        if not self.prefix and key >= RESERVED:
            raise InvalidRequest(f"keys that begin with {RESERVED!r} are reserved for spaces, such as {key!r:.60}")
        return key

    def decoded_key(self, data: bytes) -> K:
        """Return the key that is this in the store. Raises UndecodableKey."""
        return self.key_type.decode(data[len(self.prefix) :])

    def decoded_keys(self, datas: Iterable[bytes]) -> list[K]:
        """Return the keys that are these in the store. Raises UndecodableKey."""
        return self.key_type.decode_many(list(map(self._behind_prefix, datas)))

    def decoded_value(self, key: K, data: bytes) -> V:
        """Return the value of a key. Raises UndecodableValue."""
        try:
            return self.values.decode(data)
        except ValueError as error:
            raise UndecodableValue(self.name, key, str(error)) from error

    def decoded_values(self, keys: Sequence[K], datas: Sequence[bytes | None], default: Any) -> list[Any]:
        """Return the values of keys; `default` for those that have none. Raises UndecodableValue."""
        found = list(filter(_is_there, datas)) if None in datas else datas
        try:
            values = self.values.decode_many(found)  # type: ignore[arg-type]
        except ValueError:
            pairs = zip(keys, datas, strict=True)
            return [default if data is None else self.decoded_value(key, data) for key, data in pairs]
        if found is datas:
            return values
        left = iter(values)
        return [default if data is None else next(left) for data in datas]

    def entries(self, keys: Sequence[bytes], values: Sequence[bytes], unread: Iterator[bytes]) -> Iterator[tuple[K, V]]:
        """Decode the entries of a page of a scan. With each, one of `unread`, which iterates over the keys, is taken.

        What cannot be decoded raises UndecodableKey or UndecodableValue in its turn. The entries behind it follow.
        """
        try:
            return map(_second, zip(unread, zip(self.decoded_keys(keys), self.values.decode_many(values))))  # noqa: B905
        except ValueError:
            return map(_second, zip(unread, map(self._decoded_entry, keys, values)))  # noqa: B905

    def only_keys(self, keys: Sequence[bytes], unread: Iterator[bytes]) -> Iterator[K]:
        """Decode the keys of a page, as `entries` does."""
        try:
            return map(_second, zip(unread, self.decoded_keys(keys)))  # noqa: B905
        except UndecodableKey:
            return map(_second, zip(unread, map(self.decoded_key, keys)))  # noqa: B905

    def place(self, key: Any) -> bytes:
        """Return the first key of the store that is not below a key, or below the beginning of a tuple key.

        Raises InvalidRequest.
        """
        range_of = getattr(self.key_type, "range_of", None)
        return self.prefix + (self.key_type.encode(key) if range_of is None else range_of(key)[0])

    def _decoded_entry(self, key: bytes, value: bytes) -> tuple[K, V]:
        decoded = self.decoded_key(key)
        return decoded, self.decoded_value(decoded, value)


def raw_codec() -> SpaceCodec[bytes, bytes]:
    """Return the codec of raw bytes: all keys that are not reserved for spaces."""
    return SpaceCodec("", b"", Bytes(), Values(Raw()))
