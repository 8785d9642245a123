"""The methods of a space on single keys, and on any number of keys: the counterpart of blocking/space_entries.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from shardstore.client.aio.space_batch import AsyncSpaceBatch
from shardstore.client.calls.arguments import WAIT
from shardstore.ends import Ends, Moment
from shardstore.spaces import conditions
from shardstore.spaces.columns import encoded_keys, encoded_pairs, listed_keys
from shardstore.spaces.space_codec import SpaceCodec
from shardstore.spaces.steps import run_steps_async

if TYPE_CHECKING:
    from shardstore.client.aio.client import AsyncClient

K = TypeVar("K")
V = TypeVar("V")
Default = TypeVar("Default")


class AsyncSpaceEntries(Generic[K, V]):
    """The part of a space that reads and writes entries by their keys."""

    def __init__(self, db: AsyncClient, codec: SpaceCodec[K, V]) -> None:
        self._db = db
        self._codec = codec

    @property
    def name(self) -> str:
        """The name of the space; empty for raw bytes."""
        return self._codec.name

    @property
    def key_type(self) -> str:
        """The description of the type of its keys."""
        return self._codec.key_type.description

    @property
    def value_type(self) -> str:
        """The description of its values."""
        return self._codec.values.description

    @overload
    async def get(self, key: K, default: None = None, *, timeout: float | None = None) -> V | None: ...
    @overload
    async def get(self, key: K, default: Default, *, timeout: float | None = None) -> V | Default: ...
    async def get(self, key: K, default: Any = None, *, timeout: float | None = None) -> Any:
        """Return the value of a key.

        Args:
            key: A key of the space's type.
            default: What to return if the key has no value.
            timeout: Seconds; None is 30.

        Returns:
            The value, or `default`.

        Raises:
            InvalidRequest: The key is not of the space's type, or an argument is not allowed.
            UndecodableValue: The value was not written by the codec of the space.
            The other errors of `get` of the client.
        """
        data = await self._db.get(self._codec.key(key), timeout=timeout)
        return default if data is None else self._codec.decoded_value(key, data)

    async def contains(self, key: K, *, timeout: float | None = None) -> bool:
        """Return whether a key has a value.

        Args:
            key: A key of the space's type.
            timeout: Seconds; None is 30.

        Returns:
            True if it has one.

        Raises:
            InvalidRequest: The key is not of the space's type, or an argument is not allowed.
            The other errors of `get` of the client.
        """
        return await self._db.contains(self._codec.key(key), timeout=timeout)

    async def put(
        self,
        key: K,
        value: V,
        *,
        ttl: float | None = None,
        expires_at: Moment | None = None,
        timeout: float | None = None,
        on_busy: str = WAIT,
    ) -> None:
        """Set the value of a key. Once this returns, every client sees the value.

        Args:
            key: A key of the space's type.
            value: A value that the codec of the space takes.
            ttl: Seconds from now until the value expires. None: those of the space; `math.inf`: never.
            expires_at: When it expires, in seconds since the epoch, or as a datetime with a time zone.
            timeout: Seconds; None is 30.
            on_busy: Without room, "wait" for it until `timeout`, or "fail" at once.

        Raises:
            InvalidRequest: Key or value are not of the space's types, or an argument is not allowed.
            The other errors of `put` of the client.
        """
        lifetime, data = self._codec.ttl_for(ttl, expires_at), self._codec.values.encode(value)
        ends: Ends = {"ttl": lifetime, "expires_at": expires_at}
        await self._db.put(self._codec.key(key), data, **ends, timeout=timeout, on_busy=on_busy)

    async def delete(self, key: K, *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Remove a key. It is no error if the key has no value.

        Args:
            key: A key of the space's type.
            timeout: Seconds; None is 30.
            on_busy: Without room, "wait" for it until `timeout`, or "fail" at once.

        Raises:
            The errors of `put`.
        """
        await self._db.delete(self._codec.key(key), timeout=timeout, on_busy=on_busy)

    async def put_if_absent(
        self,
        key: K,
        value: V,
        *,
        ttl: float | None = None,
        expires_at: Moment | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Set the value of a key if it has none.

        Args:
            key: A key of the space's type.
            value: A value that the codec of the space takes.
            ttl: Seconds from now until the value expires. None: those of the space; `math.inf`: never.
            expires_at: When it expires, in seconds since the epoch, or as a datetime with a time zone.
            timeout: Seconds; None is 30.

        Returns:
            True if the value was set, False if the key had one.

        Raises:
            The errors of `put`.
        """
        lifetime, data = self._codec.ttl_for(ttl, expires_at), self._codec.values.encode(value)
        ends: Ends = {"ttl": lifetime, "expires_at": expires_at}
        return await self._db.put_if_absent(self._codec.key(key), data, **ends, timeout=timeout)

    async def expire(
        self, key: K, ttl: float | None = None, *, expires_at: Moment | None = None, timeout: float | None = None
    ) -> bool:
        """Let the value of a key expire at another moment than before, or at all.

        Args:
            key: A key of the space's type.
            ttl: Seconds from now until the value expires.
            expires_at: When it expires, in seconds since the epoch, or as a datetime with a time zone. One of the two
                is given.
            timeout: Seconds; None is 30.

        Returns:
            True if the key has a value, False if it has none.

        Raises:
            The errors of `put`.
        """
        return await self._db.expire(self._codec.key(key), ttl, expires_at=expires_at, timeout=timeout)

    async def persist(self, key: K, *, timeout: float | None = None) -> bool:
        """Let the value of a key expire no more.

        Args:
            key: A key of the space's type.
            timeout: Seconds; None is 30.

        Returns:
            True if it was to expire, False if it was not, or if the key has no value.

        Raises:
            The errors of `put`.
        """
        return await self._db.persist(self._codec.key(key), timeout=timeout)

    async def ttl(self, key: K, *, timeout: float | None = None) -> float | None:
        """Return how long the value of a key is still there.

        Args:
            key: A key of the space's type.
            timeout: Seconds; None is 30.

        Returns:
            Seconds; `math.inf` if the value does not expire; None if the key has no value.

        Raises:
            The errors of `get`.
        """
        return await self._db.ttl(self._codec.key(key), timeout=timeout)

    async def compare_and_set(
        self, key: K, expected: V | None, value: V | None, *, timeout: float | None = None
    ) -> bool:
        """Set or remove the value of a key if it has an expected one.

        Args:
            key: A key of the space's type.
            expected: The value that the key must have, compared with `==`; None: no value.
            value: The value to set; None: remove the key.
            timeout: Seconds for each request; None is 30. A second request is made if the bytes differ.

        Returns:
            True if the key had the expected value, and the change was made.

        Raises:
            The errors of `put`, and UndecodableValue.
        """
        return await run_steps_async(
            self._db, conditions.compare_and_set_value(self._codec, key, expected, value, timeout)
        )

    async def increment(self, key: K, by: int = 1, *, timeout: float | None = None) -> int:
        """Add to a counter. The values of the space must be of the codec Int, without compression.

        Args:
            key: A key of the space's type. Without a value it counts as 0.
            by: What to add, a signed 64-bit integer.
            timeout: Seconds; None is 30.

        Returns:
            The new value of the counter, a signed 64-bit integer.

        Raises:
            InvalidRequest: The space has other values, an argument is not allowed, or the sum would be too large.
            The other errors of `put`.
        """
        conditions.check_counts(self._codec)
        return await self._db.increment(self._codec.key(key), by, timeout=timeout)

    @overload
    async def pop(self, key: K, *, timeout: float | None = None) -> V: ...
    @overload
    async def pop(self, key: K, default: Default, *, timeout: float | None = None) -> V | Default: ...
    async def pop(self, key: K, default: Any = conditions.NO_DEFAULT, *, timeout: float | None = None) -> Any:
        """Remove a key, and return the value that it had. Of several callers at the same time one gets the value.

        Args:
            key: A key of the space's type.
            default: What to return if the key has no value.
            timeout: Seconds for each request; None is 30.

        Returns:
            The value, or `default`.

        Raises:
            KeyError: The key has no value, and there is no `default`.
            The errors of `put`, and UndecodableValue: then the key was not removed.
        """
        return await run_steps_async(self._db, conditions.pop_value(self._codec, key, default, timeout))

    async def setdefault(self, key: K, default: Any = None, *, timeout: float | None = None) -> Any:
        """Return the value of a key, after setting it to `default` if it had none. Of several callers one sets it.

        Args:
            key: A key of the space's type.
            default: A value that the codec of the space takes.
            timeout: Seconds for each request; None is 30.

        Returns:
            The value that the key has now.

        Raises:
            The errors of `put`, and UndecodableValue.
        """
        return await run_steps_async(self._db, conditions.set_default(self._codec, key, default, timeout))

    @overload
    async def get_many(
        self, keys: Iterable[K], default: None = None, *, timeout: float | None = None
    ) -> list[V | None]: ...
    @overload
    async def get_many(
        self, keys: Iterable[K], default: Default, *, timeout: float | None = None
    ) -> list[V | Default]: ...
    async def get_many(self, keys: Iterable[K], default: Any = None, *, timeout: float | None = None) -> list[Any]:
        """Return the values of many keys.

        Args:
            keys: Any number of keys of the space's type.
            default: What stands for a key without a value.
            timeout: Seconds for each request; None is 30. A large call is cut into several requests.

        Returns:
            A list as long as `keys` and in their order.

        Raises:
            The errors of `get`.
        """
        wanted = listed_keys(keys)
        datas = await self._db.get_many(encoded_keys(self._codec, wanted), timeout=timeout)
        return self._codec.decoded_values(wanted, datas, default)

    async def put_many(
        self,
        pairs: Mapping[K, V] | Iterable[tuple[K, V]],
        *,
        ttl: float | None = None,
        expires_at: Moment | None = None,
        timeout: float | None = None,
        on_busy: str = WAIT,
    ) -> None:
        """Set the values of many keys. This is not atomic.

        Args:
            pairs: A mapping, or any number of pairs (key, value). Of pairs with the same key the last one counts.
            ttl: Seconds from now until the values expire. None: those of the space; `math.inf`: never.
            expires_at: When they expire, in seconds since the epoch, or as a datetime with a time zone.
            timeout: Seconds for each request; None is 30. A large call is cut into several requests.
            on_busy: Without room, "wait" for it until `timeout`, or "fail" at once.

        Raises:
            InvalidRequest: A pair is not allowed. The message has its number. Pairs before it may have been applied.
            The other errors of `put_many` of the client.
        """
        pairs_of_bytes = encoded_pairs(self._codec, pairs)
        ends: Ends = {"ttl": self._codec.ttl_for(ttl, expires_at), "expires_at": expires_at}
        await self._db.put_many(pairs_of_bytes, **ends, timeout=timeout, on_busy=on_busy)

    async def delete_many(self, keys: Iterable[K], *, timeout: float | None = None, on_busy: str = WAIT) -> None:
        """Remove many keys. This is not atomic.

        Args:
            keys: Any number of keys of the space's type.
            timeout: Seconds for each request; None is 30. A large call is cut into several requests.
            on_busy: Without room, "wait" for it until `timeout`, or "fail" at once.

        Raises:
            The errors of `put_many`.
        """
        await self._db.delete_many(encoded_keys(self._codec, keys), timeout=timeout, on_busy=on_busy)

    def batch(self, *, timeout: float | None = None) -> AsyncSpaceBatch[K, V]:
        """Begin an atomic batch: puts and deletes of keys in one range of the store, applied together or not at all.

        Used with `with`, it is committed when the block ends. `require` adds conditions. Nothing is sent before.

        Args:
            timeout: Seconds for the commit; None is 30.

        Returns:
            The batch. Its `applied` says whether it was applied, once it is committed.

        Raises:
            InvalidRequest: `timeout` is not allowed.
        """
        return AsyncSpaceBatch(self._codec, self._db.batch(timeout=timeout))
