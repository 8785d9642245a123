"""The histories that readers are run against: what workers, jobs and the router do with the newest value of a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shardstore.workers.jobs.specs import JobResult
from tests.interleavings.history import History, Killed, Place, no_other_process
from tests.interleavings.recorded_cluster import ELSEWHERE, KEY, OTHER, RecordedCluster

HALVES = ("80",)
MANY = [KEY, OTHER, *(b"k%02d" % number for number in range(20))]
"""So many keys that a write of them sets no bits in a filter."""
PARENT = 1
"""The segment of the only range at first."""
OF_WORKER = ("word", "byte", "file", "shown")


def write() -> Iterator[History]:
    """A key is written."""
    cluster = RecordedCluster()
    cluster.write(1)
    yield cluster.history


def batch() -> Iterator[History]:
    """Many keys are written at once, and drained."""
    cluster = RecordedCluster()
    cluster.write(1, [KEY])
    cluster.write(2, MANY)
    cluster.flush()
    cluster.settle()
    yield cluster.history


def range_deletion() -> Iterator[History]:
    """All keys of the range are deleted in one step, which cuts its tables. Then the key is written again."""
    cluster = RecordedCluster()
    cluster.clear(1)
    cluster.flush()
    cluster.settle()
    cluster.write(2)
    yield cluster.history


def range_deletion_over_writes() -> Iterator[History]:
    """One of the deleted keys is in memory, and in a filter."""
    cluster = RecordedCluster(boundaries=HALVES)
    cluster.write(1, [OTHER])
    cluster.clear(2)
    cluster.write(1, [ELSEWHERE])
    yield cluster.history


def drain_and_reuse() -> Iterator[History]:
    """A write is sealed and drained; its filter is used again by another range."""
    cluster = RecordedCluster(boundaries=HALVES)
    cluster.write(1)
    cluster.flush()
    cluster.settle()
    cluster.write(1, [ELSEWHERE])
    yield cluster.history


def drain_beside_write() -> Iterator[History]:
    """A write is drained while a newer one comes. The manifest is published at any step of that."""

    def begin() -> RecordedCluster:
        cluster = RecordedCluster(boundaries=HALVES, filters=2)
        cluster.write(1)
        cluster.flush()
        return cluster

    for cluster in _beside(begin):
        cluster.write(1, [ELSEWHERE])
        yield cluster.history


def compaction() -> Iterator[History]:
    """A range is compacted. The old files are removed at any step of a write that comes next."""

    def begin() -> RecordedCluster:
        cluster = RecordedCluster()
        cluster.write(1)
        cluster.flush()
        cluster.settle()
        cluster.history.begin()
        cluster.compact()
        cluster.run_job(0)
        return cluster

    for cluster in _beside(begin):
        cluster.settle()
        yield cluster.history


def move() -> Iterator[History]:
    """A range moves to another worker, where the key is written at once."""
    cluster = RecordedCluster(workers=2)
    cluster.move(KEY, 1)
    _write_to_child(cluster)
    yield cluster.history


def split() -> Iterator[History]:
    """A range is split, and the key is written to its child at once."""
    cluster = RecordedCluster()
    cluster.split(b"m")
    _write_to_child(cluster)
    yield cluster.history


def opening() -> Iterator[History]:
    """A child of a split gets files while a key of it is in memory. Its slot opens with the bit of that key."""
    cluster = RecordedCluster()
    cluster.split(b"m")
    _write_to_child(cluster)
    cluster.finish()
    cluster.write(1, [OTHER])
    yield cluster.history


def fence_and_reuse() -> Iterator[History]:
    """A range with a filter is fenced. Another range uses the filter again."""
    cluster = RecordedCluster(boundaries=HALVES)
    cluster.write(1)
    cluster.split(b"m")
    _write_to_child(cluster)
    cluster.ask_write(1, [ELSEWHERE])
    cluster.sync_all()
    yield cluster.history


def slot_reuse() -> Iterator[History]:
    """A range is split and retired. With one slot, a child uses its slot again."""
    cluster = RecordedCluster()
    cluster.split(b"m")
    _write_to_child(cluster)
    cluster.finish()
    cluster.flush()
    cluster.settle()
    cluster.restart_router()
    cluster.finish()
    yield cluster.history


def kill() -> Iterator[History]:
    """A worker is killed at any step of a write and its drain. The next process accepts a newer write."""
    at = 0
    while True:
        cluster = RecordedCluster()
        is_killed = _killed_at(cluster, at)
        cluster.start_worker(0)
        cluster.finish()
        cluster.note_shown()
        cluster.write(2)
        yield cluster.history
        if not is_killed:
            return
        at += 1


def _killed_at(cluster: RecordedCluster, at: int) -> bool:
    """Kill the worker at this step; False if it was not killed as there are no more steps."""

    def kill(number: int, place: Place) -> None:
        if number >= at and place[0] in OF_WORKER:
            raise Killed

    cluster.history.before_step = kill
    try:
        cluster.write(1)
        cluster.flush()
        cluster.settle()
    except Killed:
        return True
    finally:
        cluster.history.before_step = no_other_process
    return False


def _beside(begin: Callable[[], RecordedCluster]) -> Iterator[RecordedCluster]:
    """Run the waiting job before, after and at each step of a write, and then tell the worker that it has ended."""
    at = 0
    is_last = False
    while not is_last:
        cluster = begin()
        is_last = not _write_beside_job(cluster, cluster.history.steps + at)
        yield cluster
        at += 1


def _write_beside_job(cluster: RecordedCluster, at: int) -> bool:
    """Run the job at this step of a write; return False if it ran after the write, as there are no more steps."""
    history = cluster.history
    taken: list[tuple[int, JobResult]] = []

    def run_job(number: int, place: Place) -> None:
        if number >= at:
            history.before_step = no_other_process
            taken.append(cluster.take_job())

    history.before_step = run_job
    cluster.ask_write(2)
    cluster.sync_all()
    history.before_step = no_other_process
    is_beside = bool(taken)
    cluster.end_job(taken[0] if taken else cluster.take_job())
    return is_beside


def _write_to_child(cluster: RecordedCluster) -> None:
    """Write to the child as soon as it accepts writes, before any job ends."""
    while not _is_adopted(cluster):
        cluster.exchange()
        cluster.sync_all()
    cluster.ask_write(2)
    cluster.sync_all()
    assert cluster.history.latest(("shown", KEY)) == 2


def _is_adopted(cluster: RecordedCluster) -> bool:
    route = cluster.map.route_of(KEY)
    return route.segment != PARENT and (route.worker, route.segment) in cluster.accepting(KEY)
