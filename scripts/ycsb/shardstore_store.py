"""shardstore as a store for the load generator."""

from __future__ import annotations

from functools import partial

from shardstore import ShardstoreError, connect, connect_async
from ycsb.settings import Settings
from ycsb.store import Entries, Store

_ERRORS = (ShardstoreError,)


def open_shardstore(settings: Settings) -> Store:
    """Connect one client, which all threads share."""
    db = connect(settings.url, settings.direct, timeout=settings.timeout)
    timeout = settings.timeout

    def scan(key: bytes, count: int) -> Entries:
        return list(db.scan(start=key, limit=count, timeout=timeout))

    def write_many(keys: list[bytes], values: list[bytes]) -> None:
        db.put_many(zip(keys, values, strict=True), timeout=timeout)

    read, write = partial(db.get, timeout=timeout), partial(db.put, timeout=timeout)
    return Store(_ERRORS, read, write, scan, partial(db.get_many, timeout=timeout), write_many, db.close)


async def open_async_shardstore(settings: Settings) -> Store:
    """Connect one client, which all tasks of the running event loop share."""
    db = await connect_async(settings.url, settings.direct, timeout=settings.timeout)
    timeout = settings.timeout

    async def scan(key: bytes, count: int) -> Entries:
        return [entry async for entry in db.scan(start=key, limit=count, timeout=timeout)]

    async def write_many(keys: list[bytes], values: list[bytes]) -> None:
        await db.put_many(zip(keys, values, strict=True), timeout=timeout)

    read, write = partial(db.get, timeout=timeout), partial(db.put, timeout=timeout)
    return Store(_ERRORS, read, write, scan, partial(db.get_many, timeout=timeout), write_many, db.close)
