"""With default options, each worker of a real cluster gets its share of the keys, whatever they look like."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from shardstore import Client, LocalCluster
from tests.process.deadlines import wait_until

pytestmark = pytest.mark.slow

ROWS = 40_000
BATCH = 2_000
VALUE = bytes(100)
WORKERS = 2
SHARE_MIN = 0.25 / WORKERS
"""The minimum share of all bytes: a quarter of the fair share."""
RANDOM = random.Random(5)
SHAPES: dict[str, Callable[[int], bytes]] = {
    "prefixed text": b"user:%08d".__mod__,
    "uuid4": lambda _: str(uuid.UUID(int=RANDOM.getrandbits(128), version=4)).encode(),
    "big-endian counter": lambda number: number.to_bytes(8, "big"),
}


def shares(db: Client) -> Counter[int]:
    """The bytes of each worker."""
    held: Counter[int] = Counter()
    for row in db.admin.ranges():
        held[row.worker] += row.size_bytes
    return held


def is_spread(held: Counter[int]) -> bool:
    return all(held[worker] >= SHARE_MIN * held.total() > 0 for worker in range(WORKERS))


@pytest.mark.parametrize("shape", SHAPES)
def test_each_worker_has_its_share(tmp_path: Path, shape: str) -> None:
    rows = {SHAPES[shape](number): VALUE for number in range(ROWS)}
    keys = list(rows)
    with LocalCluster(tmp_path, workers=WORKERS) as cluster, cluster.connect() as db:
        assert [(row.start, row.worker) for row in db.admin.ranges()] == [(b"", 0)]
        held = {worker: len(figures["ranges"]) for worker, figures in db.stats().items() if worker != "router"}
        assert held == {0: 1, 1: 0}
        for at in range(0, ROWS, BATCH):
            db.put_many({key: rows[key] for key in keys[at : at + BATCH]})
        wait_until(lambda: is_spread(shares(db)), "each worker to have its share", 60)
        assert dict(db.scan()) == rows
