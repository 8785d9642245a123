"""Redis as a store for the load generator, through redis-py with hiredis. A record is a string value."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio

from shardstore import Unavailable
from ycsb.settings import Settings
from ycsb.store import Store

_ERRORS = (redis.RedisError,)


def open_redis(settings: Settings) -> Store:
    """Connect to Redis: for one thread with a single connection, which is the fastest; for several with a pool."""
    alone = settings.threads == 1
    try:
        db: Any = redis.Redis.from_url(settings.url, socket_timeout=settings.timeout, single_connection_client=alone)
        db.ping()
    except (redis.RedisError, ValueError) as error:
        raise _no_answer(settings, error) from error

    def write_many(keys: list[bytes], values: list[bytes]) -> None:
        db.execute_command("MSET", *_in_turn(keys, values))

    return Store(_ERRORS, db.get, db.set, _no_scan, db.mget, write_many, db.close)


async def open_async_redis(settings: Settings) -> Store:
    """Connect to Redis from the running event loop, with a pool that grows to one connection per task."""
    try:
        db: Any = redis.asyncio.Redis.from_url(settings.url, socket_timeout=settings.timeout)
        await db.ping()
    except (redis.RedisError, ValueError) as error:
        raise _no_answer(settings, error) from error

    async def write_many(keys: list[bytes], values: list[bytes]) -> None:
        await db.execute_command("MSET", *_in_turn(keys, values))

    return Store(_ERRORS, db.get, db.set, _no_scan, db.mget, write_many, db.aclose)


def _no_scan(key: bytes, count: int) -> None:
    raise AssertionError("Redis has no ordered scan of its keys; Settings.check refuses it")


def _in_turn(keys: list[bytes], values: list[bytes]) -> list[bytes]:
    words = keys * 2
    words[::2] = keys
    words[1::2] = values
    return words


def _no_answer(settings: Settings, error: Exception) -> Unavailable:
    return Unavailable(f"no Redis server replies at {settings.url}: {error}")
