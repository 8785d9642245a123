"""The types of the public API, as a program sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any, assert_type

from shardstore import (
    Admin,
    AsyncAdmin,
    AsyncBatch,
    AsyncClient,
    AsyncScanIterator,
    AsyncSpace,
    AsyncSpaceBatch,
    Batch,
    Busy,
    Client,
    Estimate,
    LocalCluster,
    Loss,
    NoStats,
    Outcome,
    PendingChange,
    PlannedChange,
    RangeRow,
    RouterStats,
    ScanIterator,
    Space,
    SpaceBatch,
    SpaceInfo,
    Stats,
    WorkerStats,
    connect,
    connect_async,
    keys,
    values,
)
from shardstore.client.blocking.space_views import SpaceItems


def gets(db: Client) -> None:
    """The value is bytes, or the caller's default for a missing key."""
    assert_type(db.get(b"k"), bytes | None)
    assert_type(db.get(b"k", None), bytes | None)
    assert_type(db.get(b"k", b""), bytes)
    assert_type(db.get(b"k", 0, timeout=1), bytes | int)
    assert_type(db.get_many([b"k"]), list[bytes | None])
    assert_type(db.contains(b"k"), bool)


def writes(db: Client) -> None:
    """Plain writes return nothing, conditional ones their result."""
    db.put(b"k", b"v", on_busy="fail")
    db.put_many({b"k": b"v"})
    db.put_many((bytes([number]), b"v") for number in range(7))
    assert_type(db.put_if_absent(b"k", b"v"), bool)
    assert_type(db.compare_and_set(b"k", None, b"v"), bool)
    assert_type(db.increment(b"k"), int)
    db.put(b"k", b"v", ttl=5)
    db.put_many({b"k": b"v"}, expires_at=datetime(2030, 1, 1, tzinfo=UTC))
    assert_type(db.expire(b"k", 0.5), bool)
    assert_type(db.persist(b"k"), bool)
    assert_type(db.ttl(b"k"), float | None)
    assert_type(db.outcome(b"token"), Outcome)
    with db.batch(timeout=5) as batch:
        assert_type(batch, Batch)
        batch.put(b"k", b"v")
        batch.require(b"l", None)
    assert_type(batch.applied, bool | None)
    assert_type(db.batch().commit(), bool)
    assert_type(db.pop_first(b"a", prefix=b"k"), tuple[bytes, bytes] | None)
    assert_type(db.pop_last(), tuple[bytes, bytes] | None)
    db.delete_range(b"a", timeout=1)
    db.delete_prefix(b"a")


def counts(db: Client) -> None:
    """Counts are exact, or estimates that say how far they may be off."""
    assert_type(db.count(b"a", prefix=b"b"), int)
    assert_type(db.estimate(end=b"z"), Estimate)
    assert_type(db.estimate().error, int)


def scans(db: Client, keys_only: bool, token: bytes) -> None:
    """A scan yields pairs, or keys with keys_only; both if that is known only at run time."""
    assert_type(db.scan(), ScanIterator[tuple[bytes, bytes]])
    assert_type(db.scan(b"a", b"b", reverse=True, limit=7, mode="live"), ScanIterator[tuple[bytes, bytes]])
    assert_type(db.scan(keys_only=True), ScanIterator[bytes])
    assert_type(db.scan(keys_only=keys_only), ScanIterator[tuple[bytes, bytes]] | ScanIterator[bytes])
    assert_type(db.scan(resume=token), ScanIterator[tuple[bytes, bytes]] | ScanIterator[bytes])
    assert_type(list(db.scan(keys_only=True)), list[bytes])
    assert_type(dict(db.scan()), dict[bytes, bytes])
    assert_type(next(db.scan()), tuple[bytes, bytes])
    with db.scan(prefix=b"k") as scan:
        for key, value in scan:
            assert_type((key, value), tuple[bytes, bytes])
        assert_type(scan.resume_token, bytes)


def stats(db: Client) -> None:
    """Statistics are narrowed by the fields of the process."""
    figures = db.stats()
    assert_type(figures, Stats)
    router = figures["router"]
    if "clients" in router:
        assert_type(router, RouterStats)
        assert_type(router["changes"]["under_way"][0]["age_ns"], int | None)
    for process in figures.values():
        if "wal" in process:
            assert_type(process, WorkerStats)
            assert_type(process["ranges"][0]["layers"]["lookups"]["found"], int)
        elif "unavailable" in process:
            assert_type(process, NoStats)
        else:
            assert_type(process, RouterStats)


def operators(admin: Admin) -> None:
    """Methods of an operator return changes, ranges, or the number of a worker."""
    assert_type(admin.split(b"k", dry_run=True), list[PlannedChange])
    assert_type(admin.drain_worker(0), list[PlannedChange])
    assert_type(admin.ranges(), list[RangeRow])
    assert_type(admin.changes(), list[PendingChange])
    assert_type(admin.resolve_change(1, "cancel"), list[Loss])
    assert_type(admin.add_worker(), int)


def spaces(db: Client, token: bytes) -> None:
    """A space has the types of its keys and values, as far as they are given."""
    visits = db.space("visits", key=keys.Tuple(str, int), value=values.Int())
    assert_type(visits, Space[tuple[str, int], int])
    assert_type(db.space("names", keys.Uuid(), values.Str(), "zstd").get_many([]), list[str | None])
    assert_type(db.space("things", key=keys.Str()), Space[str, Any])
    assert_type(db.space("things", value=values.Str()), Space[Any, str])
    assert_type(db.space("things"), Space[Any, Any])
    assert_type(db.space("accounts", keys.Str(), values.Int(), together=True), Space[str, int])
    assert_type(db.mapping(), Space[bytes, bytes])
    assert_type(db.spaces(), dict[str, SpaceInfo])
    assert_type(db.drop_space("visits"), bool)
    assert_type(visits.get(("ada", 1)), int | None)
    assert_type(visits.ttl(("ada", 1)), float | None)
    assert_type(visits.get(("ada", 1), ""), int | str)
    assert_type(visits.get_many([("ada", 1)], 0.5), list[int | float])
    assert_type(visits.pop(("ada", 1)), int)
    assert_type(visits.pop(("ada", 1), None), int | None)
    assert_type(visits.pop_first(prefix=("ada",)), tuple[tuple[str, int], int] | None)
    assert_type(visits.popitem(last=False), tuple[tuple[str, int], int])
    with visits.batch() as batch:
        assert_type(batch, SpaceBatch[tuple[str, int], int])
        batch.put(("ada", 1), 7)
    assert_type(visits.next_key(("ada", 1)), tuple[str, int] | None)
    assert_type(visits.scan(prefix=("ada",)), ScanIterator[tuple[tuple[str, int], int]])
    assert_type(visits.scan(keys_only=True), ScanIterator[tuple[str, int]])
    assert_type(visits.stats(), Estimate)


def mappings(visits: Space[tuple[str, int], int]) -> None:
    """A space is a mapping, which may be cut."""
    visits["ada", 1] = 7
    visits |= {("ada", 2): 8}
    assert_type(visits["ada", 1], int)
    assert_type(visits["ada", :], SpaceItems[tuple[str, int], int])
    assert_type(visits[("ada",) : ("bob",)], SpaceItems[tuple[str, int], int])
    del visits["ada", 1:2]
    assert_type(iter(visits), Iterator[tuple[str, int]])
    assert_type(list(visits.items()), list[tuple[tuple[str, int], int]])
    assert_type(list(reversed(visits.values())), list[int])
    assert_type(visits.copy(), dict[tuple[str, int], int])


async def spaces_of_tasks(db: AsyncClient) -> None:
    """The asyncio client has the same types, behind `await` and `async for`."""
    visits = await db.space("visits", key=keys.Tuple(str, int), value=values.Int())
    assert_type(visits, AsyncSpace[tuple[str, int], int])
    assert_type(db.mapping(), AsyncSpace[bytes, bytes])
    assert_type(await visits.get(("ada", 1)), int | None)
    assert_type(await visits.pop_last(), tuple[tuple[str, int], int] | None)
    async with visits.batch() as batch:
        assert_type(batch, AsyncSpaceBatch[tuple[str, int], int])
    assert_type(visits.keys(), AsyncScanIterator[tuple[str, int]])
    assert_type(visits.values(), AsyncIterator[int])
    assert_type([key async for key in visits], list[tuple[str, int]])


async def tasks(db: AsyncClient, token: bytes) -> None:
    """The asyncio client has the same types, behind `await` and `async for`."""
    assert_type(await db.get(b"k"), bytes | None)
    assert_type(await db.get(b"k", b""), bytes)
    assert_type(await db.get(b"k", 0), bytes | int)
    assert_type(db.scan(), AsyncScanIterator[tuple[bytes, bytes]])
    assert_type(db.scan(keys_only=True), AsyncScanIterator[bytes])
    assert_type(db.scan(resume=token), AsyncScanIterator[tuple[bytes, bytes]] | AsyncScanIterator[bytes])
    assert_type([key async for key in db.scan(keys_only=True)], list[bytes])
    assert_type(await anext(db.scan()), tuple[bytes, bytes])
    async with db.batch() as batch:
        assert_type(batch, AsyncBatch)
        batch.delete(b"k")
    assert_type(await db.batch().commit(timeout=1), bool)
    assert_type(await db.pop_first(), tuple[bytes, bytes] | None)
    assert_type(await db.count(), int)
    assert_type(await db.estimate(), Estimate)
    assert_type(await db.stats(), Stats)
    assert_type(db.admin, AsyncAdmin)
    assert_type(await db.admin.ranges(), list[RangeRow])
    assert_type(await db.admin.changes(), list[PendingChange])
    assert_type(await db.admin.resolve_change(1, "complete", dry_run=True), list[Loss])


async def clients(cluster: LocalCluster) -> None:
    """Clients are made by connect, connect_async and a cluster."""
    assert_type(connect("data", timeout=5), Client)
    assert_type(cluster.connect(direct=False), Client)
    assert_type(await connect_async("data"), AsyncClient)
    async with cluster.connect_async(fork="refuse") as db:
        assert_type(db, AsyncClient)
    with cluster as same, same.connect() as client:
        assert_type((same, client), tuple[LocalCluster, Client])


def waits(error: Busy) -> None:
    """`retry_after` is in seconds, as for time.sleep."""
    assert_type(error.retry_after, float)


def typed_keys() -> None:
    """A type of keys knows the types of its keys."""
    assert_type(keys.Str().encode("a"), bytes)
    assert_type(keys.Int().decode_many([b"\x14"]), list[int])
    assert_type(keys.Tuple(str, int).decode(b""), tuple[str, int])
    assert_type(keys.Tuple(bytes).decode_many([]), list[tuple[bytes]])
    assert_type(keys.Tuple(str, int | None).decode(b""), tuple[Any, ...])
    assert_type(keys.AnyTuple().range_of((1, "a")), tuple[bytes, bytes])


def typed_values() -> None:
    """Values have the types of their codec."""
    assert_type(values.Values(values.Int()).decode(b"1"), int)
    assert_type(values.Values(values.Str(), "zstd").decode_many([]), list[str])
    assert_type(values.from_description("Json/1").decode(b"1"), Any)
