"""Counters of a real cluster while its workers are killed: each increment counts once, and its outcome is known."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from shardstore import Client, Ending, InvalidRequest, OutcomeUnknown, Unavailable
from tests.process.clusters import cluster_on, kill

THREADS = 3
INCREMENTS = 150
KILLS = 3
pytestmark = pytest.mark.usefixtures("reached")


class Counting(threading.Thread):
    """Increments until `count` were applied. `numbers`: the results of the increments that returned."""

    def __init__(self, db: Client) -> None:
        super().__init__()
        self._db = db
        self.applied = 0
        self.numbers: list[int] = []

    def run(self) -> None:
        while self.applied < INCREMENTS:
            try:
                self.numbers.append(self._db.increment(b"n", timeout=0.3))
                self.applied += 1
            except Unavailable:
                continue
            except OutcomeUnknown as error:
                ending = self._db.outcome(error.token, timeout=60).state
                assert ending in (Ending.APPLIED, Ending.NOT_APPLIED)
                self.applied += ending is Ending.APPLIED


@pytest.mark.slow
def test_every_increment_counts_once(tmp_path: Path) -> None:
    with cluster_on(tmp_path) as cluster, cluster.connect() as db:
        counting = [Counting(db) for _ in range(THREADS)]
        for thread in counting:
            thread.start()
        for _ in range(KILLS):
            kill(cluster.processes()["worker-0"])
            db.get(b"n", timeout=60)
        for thread in counting:
            thread.join(120)
        numbers = [number for thread in counting for number in thread.numbers]
        assert len(numbers) == len(set(numbers))
        assert int(db.get(b"n")) == sum(thread.applied for thread in counting) == THREADS * INCREMENTS


def test_through_the_router_too(tmp_path: Path) -> None:
    with cluster_on(tmp_path) as cluster, cluster.connect(direct=False) as db:
        assert db.put_if_absent(b"a", b"1")
        assert not db.compare_and_set(b"a", None, b"2")
        assert db.compare_and_set(b"a", b"1", b"3")
        assert [db.increment(b"n", by) for by in (7, -8)] == [7, -1]
        db.put(b"text", b"text")
        with pytest.raises(InvalidRequest, match="decimal"):
            db.increment(b"text")
        assert db.get(b"text") == b"text"
