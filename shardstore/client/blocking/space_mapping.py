"""A space as a MutableMapping in the order of its keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from itertools import starmap, zip_longest
from operator import eq
from typing import Any, TypeVar, overload

from shardstore.client.blocking.scan import ScanIterator
from shardstore.client.blocking.space_entries import SpaceEntries
from shardstore.client.blocking.space_ranges import SpaceRanges
from shardstore.client.blocking.space_views import SpaceItems, SpaceKeys, SpaceValues
from shardstore.errors import InvalidRequest
from shardstore.spaces import conditions
from shardstore.spaces.arguments import is_last, pairs_of
from shardstore.spaces.conditions import NO_DEFAULT
from shardstore.spaces.key_bounds import bounds_between, bounds_of_slice, is_slice, whole
from shardstore.spaces.steps import run_steps

K = TypeVar("K")
V = TypeVar("V")


class SpaceMapping(SpaceEntries[K, V], SpaceRanges[K, V], MutableMapping[K, V]):
    """The part of a space that users of dict and SortedDict expect. Only `copy` reads the whole space at once."""

    @overload
    def __getitem__(self, key: K) -> V: ...
    @overload
    def __getitem__(self, key: slice | tuple[Any, ...]) -> SpaceItems[K, V]: ...
    def __getitem__(self, key: Any) -> Any:
        if is_slice(key):
            return SpaceItems(self, bounds_of_slice(self._codec, key))
        value = self.get(key, NO_DEFAULT)
        if value is NO_DEFAULT:
            raise KeyError(key)
        return value

    def __setitem__(self, key: K, value: V) -> None:
        if is_slice(key):
            raise InvalidRequest("a slice of a space cannot be assigned: use update, or put_many")
        self.put(key, value)

    def __delitem__(self, key: Any) -> None:
        if is_slice(key):
            self._delete_between(bounds_of_slice(self._codec, key))
        else:
            run_steps(self._db, conditions.remove_value(self._codec, key))

    def __contains__(self, key: Any) -> bool:
        try:
            return self.contains(key)
        except InvalidRequest:  # a key that the space cannot have
            return False

    def __iter__(self) -> Iterator[K]:
        return iter(self.keys())

    def __reversed__(self) -> Iterator[K]:
        return reversed(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __bool__(self) -> bool:
        return next(self._entries(whole(self._codec), limit=1, keys_only=True), NO_DEFAULT) is not NO_DEFAULT

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SpaceMapping) and other._codec.key_type.description == self._codec.key_type.description:
            return all(starmap(eq, zip_longest(self.items(), other.items())))
        if not isinstance(other, Mapping):
            return NotImplemented
        missing = len(other)
        for key, value in self.items():
            if key not in other or other[key] != value:
                return False
            missing -= 1
        return not missing

    __hash__ = None  # type: ignore[assignment]

    def __or__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        return self.copy() | dict(other) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        return dict(other) | self.copy() if isinstance(other, Mapping) else NotImplemented

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]  # a dict comes of `|`, as a space needs a name
        self.update(other)
        return self

    def keys(self) -> SpaceKeys[K]:
        """Return a view of the keys, in order. It reads page by page.

        Returns:
            The view.
        """
        return SpaceKeys(self, whole(self._codec))

    def values(self) -> SpaceValues[V]:
        """Return a view of the values, in the order of the keys. It reads page by page.

        Returns:
            The view.
        """
        return SpaceValues(self, whole(self._codec))

    def items(self) -> SpaceItems[K, V]:
        """Return a view of the pairs (key, value), in order. It reads page by page.

        Returns:
            The view.
        """
        return SpaceItems(self, whole(self._codec))

    def irange(
        self,
        minimum: Any = None,
        maximum: Any = None,
        inclusive: tuple[bool, bool] = (True, True),
        reverse: bool = False,
    ) -> ScanIterator[K]:
        """Iterate over the keys between two, as SortedDict does.

        Args:
            minimum: The lowest key wanted, or the first elements of a tuple key; None: no bound.
            maximum: The highest key wanted, or the first elements of a tuple key; None: no bound.
            inclusive: Whether `minimum` and `maximum` themselves are wanted.
            reverse: From the highest key to the lowest.

        Returns:
            An iterator over keys.

        Raises:
            InvalidRequest: An argument is not allowed.
            The other errors of `scan`, while iterating.
        """
        return self._entries(bounds_between(self._codec, minimum, maximum, inclusive), reverse, keys_only=True)

    def peekitem(self, index: int = -1) -> tuple[K, V]:
        """Return the first key or the last one, with its value.

        Args:
            index: 0 for the first, -1 for the last.

        Returns:
            The key and its value.

        Raises:
            IndexError: There is no key.
            InvalidRequest: The index is another one.
            The other errors of `scan`.
        """
        for pair in self._entries(whole(self._codec), is_last(index), 1):
            return pair  # type: ignore[no-any-return]
        raise IndexError("the space is empty")

    def popitem(self, *, last: bool = True) -> tuple[K, V]:
        """Remove the last key, and return it with its value. Of several callers at the same time one gets it.

        Args:
            last: False: the first key instead.

        Returns:
            The key and its value.

        Raises:
            KeyError: There is no key.
            The errors of `pop_last`.
        """
        pair = self.pop_last() if last else self.pop_first()
        if pair is None:
            raise KeyError("the space is empty")
        return pair

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Set the values of many keys, in batches. This is not atomic.

        Args:
            other: A mapping, something with `keys` and `[]`, or pairs (key, value).
            more: Values of more keys, which are strings.

        Raises:
            The errors of `put_many`.
        """
        self.put_many(pairs_of(other, more))

    def clear(self) -> None:
        """Remove all keys.

        Raises:
            The errors of `delete_range`.
        """
        self.delete_range()

    def copy(self) -> dict[K, V]:
        """Read the whole space.

        Returns:
            A dict, in the order of the keys.

        Raises:
            The errors of `scan`.
        """
        return dict(self.items())
