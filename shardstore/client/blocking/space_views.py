"""What `keys`, `values`, `items` and slices of a space return. They read page by page whenever they are iterated."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from shardstore.spaces.conditions import NO_DEFAULT
from shardstore.spaces.key_bounds import Bounds

if TYPE_CHECKING:
    from shardstore.client.blocking.space_mapping import SpaceMapping

K = TypeVar("K")
V = TypeVar("V")
_second = itemgetter(1)


class _Between:
    """What the views share: a space, and bounds in it."""

    def __init__(self, space: SpaceMapping[Any, Any], bounds: Bounds) -> None:
        self._space = space
        self._bounds = bounds

    def __len__(self) -> int:
        return self._space._count_between(self._bounds)

    def __bool__(self) -> bool:
        return next(self._space._entries(self._bounds, limit=1, keys_only=True), NO_DEFAULT) is not NO_DEFAULT

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._space!r}>"

    def _read(self, reverse: bool = False, keys_only: bool = False) -> Iterator[Any]:
        return iter(self._space._entries(self._bounds, reverse, keys_only=keys_only))

    def _has_key(self, key: Any) -> bool:
        if key not in self._space:
            return False
        start, end = self._bounds
        return start <= self._space._codec.key(key) < end


class SpaceKeys(_Between, KeysView[K]):
    """The keys."""

    def __iter__(self) -> Iterator[K]:
        return self._read(keys_only=True)

    def __reversed__(self) -> Iterator[K]:
        return self._read(reverse=True, keys_only=True)

    def __contains__(self, key: object) -> bool:
        return self._has_key(key)


class SpaceValues(_Between, ValuesView[V]):
    """The values, in the order of their keys."""

    def __iter__(self) -> Iterator[V]:
        return map(_second, self._read())

    def __reversed__(self) -> Iterator[V]:
        return map(_second, self._read(reverse=True))

    def __contains__(self, value: object) -> bool:
        return any(value is each or value == each for each in self)


class SpaceItems(_Between, ItemsView[K, V]):
    """The pairs of key and value."""

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._read()

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        return self._read(reverse=True)

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2 or not self._has_key(item[0]):
            return False
        return bool(self._space.get(item[0], NO_DEFAULT) == item[1])
