"""Kills processes and changes ranges, while other processes write, read and check every value they read."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random

from shardstore import Busy, LocalCluster, Unavailable
from tests.process import ordered_values
from tests.process.chaos import WORKERS, Changer, cluster_on, kill_in_change, undaunted
from tests.process.deadlines import wait_until
from tests.process.ordered_values import KEYS, WRITERS, Ledger, check_some

READERS = 4
KILLS_MIN = 4
WRITES_BETWEEN = 50
SPAWN = multiprocessing.get_context("spawn")


def run(base: Path, seed: int, seconds: float) -> Counter[str]:
    """Kill and change for so long, while processes write and check; returns what was counted."""
    ledger, counts = Ledger.make(base / "ledger"), Counter[str]()
    with undaunted(), cluster_on(base / "data") as cluster, ProcessPoolExecutor(READERS + WRITERS, SPAWN) as pool:
        clients = [pool.submit(ordered_values.write, base, writer) for writer in range(WRITERS)]
        clients += [pool.submit(ordered_values.read, base, reader) for reader in range(READERS)]
        try:
            counts += _change_and_kill(cluster, Random(seed), seconds, ledger, clients)
        finally:
            ledger.stop()
        for client in clients:
            counts += client.result(120)
        with cluster.connect() as db:
            check_some(db, ledger, range(KEYS), [0] * KEYS)
    return counts


def _change_and_kill(
    cluster: LocalCluster, random: Random, seconds: float, ledger: Ledger, clients: Sequence[Future[Counter[str]]]
) -> Counter[str]:
    """Change and kill until the time is over, or a client fails. The writers write between two kills."""
    counts, names = Counter[str](), {"router", *(f"worker-{worker}" for worker in range(WORKERS))}
    ended = lambda: any(client.done() for client in clients)  # noqa: E731
    with cluster.connect() as db, cluster.connect() as admin:
        changer = Changer(admin, random)
        deadline = time.monotonic() + seconds
        while (time.monotonic() < deadline or counts["kills"] < KILLS_MIN) and not ended():
            _wait_for_writes(ledger, ended)
            for _ in range(random.randrange(4)):
                changer.wait_for_change()
                with suppress(Busy, Unavailable):  # the latest one goes on, or the owner was killed
                    random.choice((db.flush, db.compact))(wait=False)
            victim = random.choice(("router", "source", "target", "all"))
            counts["kills"] += kill_in_change(cluster, changer, victim, random)
            wait_until(lambda: names <= cluster.processes().keys(), "all processes again", 60)
        changer.stop()
    return counts + changer.ends


def _wait_for_writes(ledger: Ledger, ended: Callable[[], bool]) -> None:
    goal = sum(ledger.acknowledged) + WRITES_BETWEEN
    wait_until(lambda: sum(ledger.acknowledged) >= goal or ended(), "more writes", 120)
