"""Opens the store named in the settings."""

from __future__ import annotations

from ycsb.settings import Settings, StoreName
from ycsb.shardstore_store import open_async_shardstore, open_shardstore
from ycsb.store import Store


def open_store(settings: Settings) -> Store:
    """A connection for all threads of a process. Raises ShardstoreError."""
    if settings.store is StoreName.REDIS:
        from ycsb.redis_store import open_redis  # noqa: PLC0415 (the client library may not be installed)

        return open_redis(settings)
    return open_shardstore(settings)


async def open_async_store(settings: Settings) -> Store:
    """A connection for the running event loop. Raises ShardstoreError."""
    if settings.store is StoreName.REDIS:
        from ycsb.redis_store import open_async_redis  # noqa: PLC0415 (the client library may not be installed)

        return await open_async_redis(settings)
    return await open_async_shardstore(settings)
