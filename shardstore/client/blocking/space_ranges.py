"""The methods of a space on keys that lie together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from shardstore.client.blocking.scan import ScanIterator
from shardstore.client.calls.scan import scan_from_arguments
from shardstore.options import ScanMode
from shardstore.spaces import conditions
from shardstore.spaces.key_bounds import Bounds, bounds_behind, bounds_of, bounds_to_remove
from shardstore.spaces.space_codec import SpaceCodec
from shardstore.spaces.steps import run_steps

if TYPE_CHECKING:
    from shardstore.client.blocking.client import Client

K = TypeVar("K")
V = TypeVar("V")


class SpaceRanges(Generic[K, V]):
    """The part of a space that reads and writes what lies between two keys.

    `start`, `end` and `prefix` may be combined. For tuple keys, each of them may be the first elements of a key. A
    prefix of keys that are str or bytes is one too; other keys have no prefix.
    """

    _db: Client
    _codec: SpaceCodec[K, V]

    @overload
    def scan(
        self,
        start: Any = None,
        end: Any = None,
        prefix: Any = None,
        reverse: bool = False,
        limit: int | None = None,
        keys_only: Literal[False] = False,
        *,
        mode: str = ScanMode.SNAPSHOT,
        resume: None = None,
        timeout: float | None = None,
    ) -> ScanIterator[tuple[K, V]]: ...
    @overload
    def scan(
        self,
        start: Any = None,
        end: Any = None,
        prefix: Any = None,
        reverse: bool = False,
        limit: int | None = None,
        *,
        keys_only: Literal[True],
        mode: str = ScanMode.SNAPSHOT,
        resume: None = None,
        timeout: float | None = None,
    ) -> ScanIterator[K]: ...
    @overload
    def scan(
        self,
        start: Any = None,
        end: Any = None,
        prefix: Any = None,
        reverse: bool = False,
        limit: int | None = None,
        keys_only: bool = False,
        *,
        mode: str = ScanMode.SNAPSHOT,
        resume: bytes | None = None,
        timeout: float | None = None,
    ) -> ScanIterator[tuple[K, V]] | ScanIterator[K]: ...
    def scan(
        self,
        start: Any = None,
        end: Any = None,
        prefix: Any = None,
        reverse: bool = False,
        limit: int | None = None,
        keys_only: bool = False,
        *,
        mode: str = ScanMode.SNAPSHOT,
        resume: bytes | None = None,
        timeout: float | None = None,
    ) -> ScanIterator[tuple[K, V]] | ScanIterator[K]:
        """Iterate over keys in order, with their values, as `scan` of the client does.

        Args:
            start: The first key wanted; None: no bound.
            end: The first key not wanted; None: no bound.
            prefix: Only keys that begin with this.
            reverse: From the last key to the first.
            limit: At most this many entries; None: all.
            keys_only: Yield keys instead of pairs (key, value).
            mode: A ScanMode: what the scan shows of writes that come while it runs.
            resume: A `resume_token` of a scan of the space: continue that scan. Only `timeout` may be given with it.
            timeout: Seconds to wait for each page; None is 30. Time in the caller's code does not count.

        Returns:
            An iterator over pairs (key, value), or over keys. Close it or drop it if you do not read it to its end.

        Raises:
            InvalidRequest: An argument is not allowed.
            UndecodableKey, UndecodableValue: While iterating, in the turn of the entry. The next `next` skips it.
            The other errors of `scan` of the client. `last_key` of ScanInvalidated is the key as bytes of the store.
        """
        if resume is None:
            first, last = bounds_of(self._codec, start, end, prefix)
            return self._entries((first, last), reverse, limit, keys_only, mode=mode, timeout=timeout)
        return self._db._iterate(
            scan_from_arguments(start, end, prefix, reverse, limit, keys_only, mode, resume, timeout, codec=self._codec)
        )

    def count(self, start: Any = None, end: Any = None, prefix: Any = None, *, timeout: float | None = None) -> int:
        """Return how many keys there are, exactly. The workers count them.

        Args:
            start: The first key that counts; None: no bound.
            end: The first key that does not count; None: no bound.
            prefix: Only keys that begin with this.
            timeout: Seconds for each request; None is 30.

        Returns:
            The number of keys.

        Raises:
            InvalidRequest: An argument is not allowed.
            The other errors of `get` of the client.
        """
        return self._count_between(bounds_of(self._codec, start, end, prefix), timeout)

    def delete_range(
        self, start: Any = None, end: Any = None, prefix: Any = None, *, timeout: float | None = None
    ) -> None:
        """Remove all keys that lie together, as `delete_range` of the client does; without bounds, all of the space.

        Args:
            start: The first key to remove; None: no bound.
            end: The first key not to remove; None: no bound.
            prefix: Only keys that begin with this.
            timeout: Seconds for each request; None is 30.

        Raises:
            InvalidRequest: An argument is not allowed, or the start is behind the end.
            The other errors of `delete_range` of the client.
        """
        self._delete_between(bounds_to_remove(self._codec, start, end, prefix), timeout)

    def pop_first(
        self, start: Any = None, end: Any = None, prefix: Any = None, *, timeout: float | None = None
    ) -> tuple[K, V] | None:
        """Remove the first key, and return it with its value. Of several callers at the same time one gets it.

        Args:
            start: Only keys from this one on; None: no bound.
            end: Only keys before this one; None: no bound.
            prefix: Only keys that begin with this.
            timeout: Seconds for each request; None is 30.

        Returns:
            The key and its value; None if there is no key.

        Raises:
            InvalidRequest: An argument is not allowed.
            UndecodableKey, UndecodableValue: The entry was not written with the types of the space. It is put back.
            The other errors of `put`.
        """
        bounds = bounds_of(self._codec, start, end, prefix)
        return run_steps(self._db, conditions.pop_end("pop_first", self._codec, bounds, timeout))

    def pop_last(
        self, start: Any = None, end: Any = None, prefix: Any = None, *, timeout: float | None = None
    ) -> tuple[K, V] | None:
        """Remove the last key, and return it with its value. Of several callers at the same time one gets it.

        Args:
            start: Only keys from this one on; None: no bound.
            end: Only keys before this one; None: no bound.
            prefix: Only keys that begin with this.
            timeout: Seconds for each request; None is 30.

        Returns:
            The key and its value; None if there is no key.

        Raises:
            The errors of `pop_first`.
        """
        bounds = bounds_of(self._codec, start, end, prefix)
        return run_steps(self._db, conditions.pop_end("pop_last", self._codec, bounds, timeout))

    def next_key(self, key: Any, *, timeout: float | None = None) -> K | None:
        """Return the first key behind another, which needs no value.

        Args:
            key: A key of the space's type, or the first elements of a tuple key.
            timeout: Seconds; None is 30.

        Returns:
            The key; None if there is none.

        Raises:
            InvalidRequest: An argument is not allowed.
            The other errors of `scan` of the client.
        """
        return next(self._entries(bounds_behind(self._codec, key), False, 1, keys_only=True, timeout=timeout), None)

    def previous_key(self, key: Any, *, timeout: float | None = None) -> K | None:
        """Return the last key before another, which needs no value.

        Args:
            key: A key of the space's type, or the first elements of a tuple key.
            timeout: Seconds; None is 30.

        Returns:
            The key; None if there is none.

        Raises:
            The errors of `next_key`.
        """
        return next(self._entries(bounds_of(self._codec, end=key), True, 1, keys_only=True, timeout=timeout), None)

    def _entries(
        self,
        bounds: Bounds,
        reverse: bool = False,
        limit: int | None = None,
        keys_only: bool = False,
        *,
        mode: str = ScanMode.SNAPSHOT,
        timeout: float | None = None,
    ) -> ScanIterator[Any]:
        return self._db._iterate(
            scan_from_arguments(*bounds, None, reverse, limit, keys_only, mode, None, timeout, codec=self._codec)
        )

    def _count_between(self, bounds: Bounds, timeout: float | None = None) -> int:
        start, end = bounds
        return self._db.count(start, end, timeout=timeout) if start < end else 0

    def _delete_between(self, bounds: Bounds, timeout: float | None = None) -> None:
        start, end = bounds
        if start < end:
            self._db.delete_range(start, end, timeout=timeout)
