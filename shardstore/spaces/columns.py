"""Any number of entries, read, encoded and passed on chunk by chunk, so that an iterable may be endless."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final, TypeVar

from shardstore.errors import InvalidRequest
from shardstore.spaces.space_codec import SpaceCodec

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
FIRST_CHUNK: Final = 256
CHUNK_ENTRIES: Final = 4_096
CHUNK_BYTES: Final = 1 << 20
"""About this much is encoded at once, after the first chunk has shown how large entries are."""


def encoded_pairs(
    codec: SpaceCodec[K, V], pairs: Mapping[K, V] | Iterable[tuple[K, V]]
) -> Iterator[tuple[bytes, bytes]]:
    """Yield pairs of key and value as in the store. Raises InvalidRequest, which has the number of the pair."""

    def encode(chunk: Sequence[Any]) -> list[tuple[bytes, bytes]]:
        try:
            keys, values = zip(*chunk, strict=True)
        except (TypeError, ValueError):
            raise InvalidRequest(f"a pair of key and value is wanted, not {chunk[0]!r:.60}") from None
        return list(zip(codec.keys(keys), codec.values.encode_many(values), strict=True))

    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return chain.from_iterable(_encoded("pairs", items, encode, _size_of_pairs))


def encoded_keys(codec: SpaceCodec[K, Any], keys: Iterable[K]) -> Iterator[bytes]:
    """Yield keys as in the store. Raises InvalidRequest, which has the number of the key."""
    return chain.from_iterable(_encoded("keys", keys, codec.keys, _size_of_keys))


def listed_keys(keys: Iterable[K]) -> list[K]:
    """Return all keys. Raises InvalidRequest for what is no iterable."""
    return list(_iterator("keys", keys))


def _encoded(
    name: str, items: Iterable[Any], encode: Callable[[Sequence[Any]], list[T]], size_of: Callable[[list[T]], int]
) -> Iterator[list[T]]:
    left = _iterator(name, items)
    width = FIRST_CHUNK
    first = 0
    while chunk := list(islice(left, width)):
        try:
            encoded = encode(chunk)
        except InvalidRequest as error:
            raise _first_error(first, chunk, encode) or error from None
        yield encoded
        first += len(chunk)
        width = max(1, min(CHUNK_ENTRIES, CHUNK_BYTES * len(chunk) // (size_of(encoded) + 1)))


def _iterator(name: str, items: Any) -> Iterator[Any]:
    if isinstance(items, str | bytes | bytearray | memoryview) or not hasattr(items, "__iter__"):
        raise InvalidRequest(f"{name} is an iterable, not {type(items).__name__}")
    return iter(items)


def _first_error(
    first: int, chunk: Sequence[Any], encode: Callable[[Sequence[Any]], list[Any]]
) -> InvalidRequest | None:
    """The error of the first item of a chunk that cannot be encoded, with its number; None if each can."""
    for at, item in enumerate(chunk):
        try:
            encode([item])
        except InvalidRequest as bad:
            return InvalidRequest(f"entry {first + at:,}: {bad}; entries before it may have been applied")
    return None


def _size_of_pairs(pairs: list[tuple[bytes, bytes]]) -> int:
    return sum(map(len, chain.from_iterable(pairs)))


def _size_of_keys(keys: list[bytes]) -> int:
    return sum(map(len, keys))
