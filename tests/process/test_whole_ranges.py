"""Deletions and counts of whole ranges in a running store: with direct reads, several ranges, and a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shardstore import LocalCluster
from shardstore.estimate import Estimate
from tests.process.clusters import cluster_on

KEYS = [b"key-%05d" % number for number in range(3_000)]
VALUES = dict.fromkeys(KEYS, b"value")
LEFT = [*KEYS[:100], *KEYS[2_900:]]


@pytest.mark.usefixtures("reached")
def test_ranges_are_deleted_and_counted(tmp_path: Path) -> None:
    with cluster_on(tmp_path / "data", ranges=4) as cluster, cluster.connect() as db:
        db.put_many(VALUES)
        db.flush()
        assert db.get(KEYS[500]) == b"value"
        assert db.get_many(KEYS) == [b"value"] * len(KEYS)
        assert db.count() == len(KEYS)
        assert db.estimate(KEYS[10], KEYS[20]).entries == 10
        db.delete_range(KEYS[100], KEYS[2_900])
        assert db.get(KEYS[500]) is None
        assert db.get_many(KEYS[90:110]) == [b"value"] * 10 + [None] * 10
        assert list(db.scan(keys_only=True)) == LEFT
        assert db.count() == len(LEFT)
        db.flush()
        assert list(db.scan(keys_only=True)) == LEFT
        db.put(KEYS[500], b"again")
        db.delete_prefix(b"key-000")
        assert db.count(prefix=b"key-00") == 1
        assert db.count(b"b", b"a") == 0
        asyncio.run(_from_a_loop(cluster))
    with cluster_on(tmp_path / "data", workers=1) as cluster, cluster.connect() as db:
        assert list(db.scan()) == []


async def _from_a_loop(cluster: LocalCluster) -> None:
    async with cluster.connect_async() as db:
        assert await db.count() == 101
        await db.delete_range(KEYS[2_900])
        assert await db.count() == 1
        await db.delete_prefix(b"")
        assert (await db.estimate(b"b", b"a")) == Estimate(0, 0, 0)
        assert await db.count() == 0
