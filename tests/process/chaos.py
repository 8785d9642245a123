"""Kills processes during splits, merges and moves, while clients remember what was acknowledged.

A changer requests one change after another. The killer waits until one begins, waits a moment, and kills the router,
the source, the target, or all of them with the maintenance processes. Then everything must recover by itself: every
client continues, every change completes, and every key holds an allowed value.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Condition, Thread
from unittest.mock import patch

from shardstore import Busy, Client, InvalidRequest, LocalCluster, OutcomeUnknown, TopologyOptions, Unavailable
from tests.process.clusters import kill_all
from tests.process.deadlines import wait_until
from tests.process.recording import RecordingClient

WORKERS = 3
CLIENTS = 3
RANGES_MAX = 12
MEMORY = "384MiB"
BY_HAND = TopologyOptions(auto_topology=False)
INTO_THE_CHANGE_S = 0.15
"""Maximum time from the request of a change to a kill, which may be before, during or after the change."""
ADMIN_S = 20


@dataclass
class Figures:
    """The counts of what was done, and to which processes."""

    kills: Counter[str] = field(default_factory=Counter)
    processes_killed: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    """The ends of requested changes, by kind and outcome."""
    acknowledged: int = 0
    read: int = 0
    unserved: Counter[str] = field(default_factory=Counter)
    cut_scans: int = 0

    def __str__(self) -> str:
        lines = [f"{name}: {value}" for name, value in vars(self).items()]
        return "\n".join(line.replace("Counter(", "").replace("})", "}") for line in lines)


class Changer:
    """Requests splits, merges and moves, one after another, in a thread."""

    def __init__(self, db: Client, random: Random) -> None:
        self._db = db
        self._random = random
        self._news = Condition()
        self._begun = 0
        self._stopped = False
        self.concerned: tuple[int, int] = (0, 0)
        """The source and target workers of the latest requested change."""
        self.ends: Counter[str] = Counter()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for_change(self) -> tuple[int, int]:
        """Wait until another change is requested; returns its workers."""
        with self._news:
            seen = self._begun
            assert self._news.wait_for(lambda: self._begun > seen or not self._thread.is_alive(), 3 * ADMIN_S)
        assert self._thread.is_alive(), "the changer ended with an error"
        return self.concerned

    def stop(self) -> None:
        """Stop after the current change."""
        self._stopped = True
        self._thread.join(3 * ADMIN_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped:
            try:
                kind = self._change()
            except (Busy, InvalidRequest, OutcomeUnknown, Unavailable) as error:
                kind = type(error).__name__
            self.ends[kind] += 1

    def _change(self) -> str:
        rows = self._db.admin.ranges(timeout=ADMIN_S)
        row = self._random.choice(rows)
        kind = self._random.choice(("split", "merge", "move", "move"))
        if kind == "split" and len(rows) < RANGES_MAX:
            self._announce(row.worker, row.worker)
            self._db.admin.split(b"%04x" % self._random.randrange(1 << 16), timeout=ADMIN_S)
        elif kind == "merge" and row.end and len(rows) > WORKERS:
            right = next(each for each in rows if each.start == row.end)
            self._announce(right.worker, row.worker)
            self._db.admin.merge(row.start or b"0", timeout=ADMIN_S)
        else:
            kind, taker = "move", self._random.choice([each for each in range(WORKERS) if each != row.worker])
            self._announce(row.worker, taker)
            self._db.admin.move(row.start or b"0", taker, timeout=ADMIN_S)
        return kind

    def _announce(self, giver: int, taker: int) -> None:
        with self._news:
            self.concerned = (giver, taker)
            self._begun += 1
            self._news.notify_all()


def run(data: Path, seed: int, seconds: float, killed_min: int = 0, direct: bool = True) -> Figures:
    """Kill processes for `seconds`, and at least `killed_min`; returns the counts. Fails if anything is wrong.

    `direct`: whether the clients connect to workers directly.
    """
    random, figures = Random(seed), Figures()
    with undaunted(), ExitStack() as stack:
        cluster = stack.enter_context(cluster_on(data))
        names = {"router", *(f"worker-{worker}" for worker in range(WORKERS))}
        clients = [RecordingClient(cluster.connect(direct=direct), number, seed) for number in range(CLIENTS)]
        changer = Changer(stack.enter_context(cluster.connect()), random)
        deadline = time.monotonic() + seconds
        for client in clients:
            client.wait_for_more()
        while time.monotonic() < deadline or figures.processes_killed < killed_min:
            victim = random.choice(("router", "source", "target", "all"))
            figures.kills[victim] += 1
            figures.processes_killed += kill_in_change(cluster, changer, victim, random)
            wait_until(lambda: names <= cluster.processes().keys(), "all processes again", 60)
            for client in clients:
                client.wait_for_more(100)
        changer.stop()
        for client in clients:
            client.stop()
            figures.acknowledged += client.acknowledged
            figures.read += client.read
            figures.unserved += client.unserved
            figures.cut_scans += client.cut_scans
        figures.changes = changer.ends
        check(cluster, clients)
    with cluster_on(data) as again:
        check(again, clients)
    return figures


def cluster_on(data: Path) -> LocalCluster:
    """A cluster of three workers without automatic changes."""
    ranges = [b"40", b"80", b"c0"]
    return LocalCluster(data, workers=WORKERS, memory=MEMORY, ranges=ranges, topology=BY_HAND)


def kill_in_change(cluster: LocalCluster, changer: Changer, victim: str, random: Random) -> int:
    """Wait for a change and kill processes during it; returns the number of processes killed."""
    giver, taker = changer.wait_for_change()
    time.sleep(random.uniform(0, INTO_THE_CHANGE_S))
    running = cluster.processes()
    of_worker = {"source": f"worker-{giver}", "target": f"worker-{taker}"}
    names = list(running) if victim == "all" else [of_worker.get(victim, victim)]
    pids = [running[name] for name in names if name in running]
    kill_all(pids)
    return len(pids)


def check(cluster: LocalCluster, clients: list[RecordingClient]) -> None:
    """Check that every change completes, and that all data is right."""
    with cluster.connect() as db:
        wait_until(lambda: not db.stats()["router"]["changes"]["under_way"], "the end of all changes", 60)
        assert {row.stage for row in db.admin.ranges()} == {"active"}
        for client in clients:
            client.check(db)


@contextmanager
def undaunted() -> Iterator[None]:
    """A supervisor that never counts deaths as repeated, so that it never gives up a process."""
    with patch("shardstore.cluster.restart_policy.STEADY_NS", 0):
        yield
