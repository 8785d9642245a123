"""When a worker acknowledges writes, and which of them the next process knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.limits import SECOND_NS
from shardstore.options import Durability
from shardstore.seams.effects import Tick, WalSyncFailed
from shardstore.wire.wire_format import Flag, Op, Status
from shardstore.workers.ranges import replay
from tests.unit.worker_driver import WorkerDriver, reopened


@pytest.mark.fault("W10", "L13")
def test_group_sync_shows_and_acknowledges_a_write_only_after_the_sync(worker: WorkerDriver) -> None:
    first = worker.put({b"a": b"1"})
    second = worker.put({b"b": b"2"})
    assert worker.status(first) is None
    assert worker.get([b"a", b"b"]) == [None, None]
    worker.sync()
    assert worker.status(first) is Status.OK
    assert worker.status(second) is None, "it was appended after that sync had begun"
    assert worker.get([b"a", b"b"]) == [b"1", None]
    worker.sync()
    assert worker.status(second) is Status.OK
    assert worker.get([b"a", b"b"]) == [b"1", b"2"]


@pytest.mark.fault("L13")
def test_group_sync_serves_all_that_arrived_meanwhile_with_one_sync(worker: WorkerDriver) -> None:
    worker.put({b"first": b""})
    later = [worker.put({b"k%d" % number: b"v"}) for number in range(20)]
    worker.sync()
    worker.sync()
    assert {worker.status(sequence) for sequence in later} == {Status.OK}
    assert not worker.syncs


def test_sync_mode_gives_each_request_a_sync_of_its_own(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, Durability.SYNC).serve()
    sequences = [worker.put({b"k%d" % number: b"v"}) for number in range(3)]
    for done in range(1, 4):
        worker.sync()
        assert [worker.status(sequence) for sequence in sequences] == [Status.OK] * done + [None] * (3 - done)


@pytest.mark.fault("L15")
def test_async_acknowledges_at_once_and_syncs_when_the_interval_is_over(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, Durability.ASYNC).serve()
    assert worker.status(worker.put({b"a": b"1"})) is Status.OK
    assert worker.get([b"a"]) == [b"1"]
    assert not worker.syncs
    worker.now_ns += SECOND_NS
    worker.handle(Tick())
    assert len(worker.syncs) == 1


@pytest.mark.parametrize("durability", list(Durability))
def test_acknowledged_writes_are_there_in_the_next_process(tmp_path: Path, durability: Durability) -> None:
    worker = WorkerDriver(tmp_path, durability).serve()
    worker.put({b"a": b"1", b"b": b"2"})
    worker.delete([b"b"])
    worker.settle()
    assert reopened(worker).get([b"a", b"b"]) == [b"1", None]


@pytest.mark.fault("L6")
def test_failed_sync_ends_waiting_writes_unknown_and_stops_the_worker(worker: WorkerDriver) -> None:
    sequence = worker.put({b"a": b"1"})
    worker.handle(WalSyncFailed("EIO"))
    assert worker.status(sequence) is Status.UNKNOWN
    assert worker.stopped is not None
    assert "EIO" in worker.stopped.failure
    assert worker.get([b"a"]) == [None]


def test_after_a_failed_sync_no_retry_is_acknowledged_before_the_process_ends(worker: WorkerDriver) -> None:
    sequence = worker.put({b"a": b"1"})
    worker.handle(WalSyncFailed("EIO"))
    worker.core.check_invariants()
    worker.put({b"a": b"1"}, sequence=sequence, flags=Flag.RETRY)
    assert [header.status for header, _ in worker.answers(sequence)] == [Status.UNKNOWN]
    worker.core.check_invariants()


def test_retry_of_an_applied_write_is_acknowledged_and_applied_once(worker: WorkerDriver) -> None:
    sequence = worker.put({b"a": b"1"})
    worker.settle()
    worker.put({b"a": b"2"})
    worker.settle()
    worker.put({b"a": b"1"}, sequence=sequence, flags=Flag.RETRY)
    assert worker.status(sequence) is Status.OK
    assert worker.get([b"a"]) == [b"2"]


def test_retry_of_a_write_that_waits_is_answered_with_it(worker: WorkerDriver) -> None:
    sequence = worker.put({b"a": b"1"})
    worker.put({b"a": b"1"}, sequence=sequence, flags=Flag.RETRY)
    assert worker.status(sequence) is None
    worker.sync()
    assert [header.status for header, _ in worker.answers(sequence)] == [Status.OK, Status.OK]


@pytest.mark.fault("C2")
@pytest.mark.parametrize("flushed", [False, True])
def test_retry_in_the_next_process_is_applied_once(worker: WorkerDriver, flushed: bool) -> None:
    sequence = worker.put({b"a": b"1"})
    worker.settle()
    worker.put({b"a": b"2"})
    if flushed:
        worker.ask(Op.FLUSH)
    worker.settle()
    following = reopened(worker)
    following.put({b"a": b"1"}, sequence=sequence, flags=Flag.RETRY)
    following.settle()
    assert following.status(sequence) is Status.OK
    assert following.get([b"a"]) == [b"2"]


def test_replay_keeps_the_order_of_puts_and_deletes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "COLLECTED_ENTRIES", 3)
    worker = WorkerDriver(tmp_path, Durability.ASYNC, boundaries=[b"m"]).serve()
    kept: dict[bytes, bytes] = {}
    for number in range(40):
        key, epoch_of = b"%c" % (b"az"[number % 2] - number % 5), {"segment": 1 + number % 2}
        if number % 7 in (3, 4):
            worker.delete([key], **epoch_of)
            kept.pop(key, None)
        else:
            worker.put({key: b"%d" % number, key + b"2": b"x" * number}, **epoch_of)
            kept |= {key: b"%d" % number, key + b"2": b"x" * number}
    keys = sorted({b"%c%s" % (b"az"[number % 2] - number % 5, end) for number in range(40) for end in (b"", b"2")})
    again = reopened(worker)
    for segment, half in ((1, [key for key in keys if key < b"m"]), (2, [key for key in keys if key >= b"m"])):
        assert again.get(half, segment=segment) == [kept.get(key) for key in half]
    last = again.put({b"z": b"late"}, sequence=40, segment=2)
    assert again.status(last) is Status.OK, "a request of the log is acknowledged"
    assert again.get([b"z"], segment=2) == [kept.get(b"z")], "and not applied again"
