"""The methods of a space that the blocking one has as a mapping: the counterpart of blocking/space_mapping.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from shardstore.client.aio.scan import AsyncScanIterator
from shardstore.client.aio.space_entries import AsyncSpaceEntries
from shardstore.client.aio.space_ranges import AsyncSpaceRanges
from shardstore.spaces.arguments import is_last, pairs_of
from shardstore.spaces.key_bounds import bounds_between, whole

K = TypeVar("K")
V = TypeVar("V")


class AsyncSpaceMapping(AsyncSpaceEntries[K, V], AsyncSpaceRanges[K, V]):
    """The part of a space that users of dict and SortedDict expect. Only `copy` reads the whole space at once."""

    def keys(self) -> AsyncScanIterator[K]:
        """Iterate over the keys, in order.

        Returns:
            An iterator.
        """
        return self._entries(whole(self._codec), keys_only=True)

    async def values(self) -> AsyncIterator[V]:
        """Iterate over the values, in the order of the keys.

        Returns:
            An iterator.
        """
        async for _, value in self.items():
            yield value

    def items(self) -> AsyncScanIterator[tuple[K, V]]:
        """Iterate over the pairs (key, value), in order.

        Returns:
            An iterator.
        """
        return self._entries(whole(self._codec))

    def irange(
        self,
        minimum: Any = None,
        maximum: Any = None,
        inclusive: tuple[bool, bool] = (True, True),
        reverse: bool = False,
    ) -> AsyncScanIterator[K]:
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

    async def peekitem(self, index: int = -1) -> tuple[K, V]:
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
        async for pair in self._entries(whole(self._codec), is_last(index), 1):
            return pair  # type: ignore[no-any-return]
        raise IndexError("the space is empty")

    async def popitem(self, *, last: bool = True) -> tuple[K, V]:
        """Remove the last key, and return it with its value. Of several callers at the same time one gets it.

        Args:
            last: False: the first key instead.

        Returns:
            The key and its value.

        Raises:
            KeyError: There is no key.
            The errors of `pop_last`.
        """
        pair = await (self.pop_last() if last else self.pop_first())
        if pair is None:
            raise KeyError("the space is empty")
        return pair

    async def update(self, other: Any = (), /, **more: Any) -> None:
        """Set the values of many keys, in batches. This is not atomic.

        Args:
            other: A mapping, something with `keys` and `[]`, or pairs (key, value).
            more: Values of more keys, which are strings.

        Raises:
            The errors of `put_many`.
        """
        await self.put_many(pairs_of(other, more))

    async def clear(self) -> None:
        """Remove all keys.

        Raises:
            The errors of `delete_range`.
        """
        await self.delete_range()

    async def copy(self) -> dict[K, V]:
        """Read the whole space.

        Returns:
            A dict, in the order of the keys.

        Raises:
            The errors of `scan`.
        """
        return {key: value async for key, value in self.items()}
