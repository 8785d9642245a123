"""Failures and deaths at the k-th filesystem call, for every k, while a log is written and while it is recovered."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from shardstore.errors import DiskFull, StorageFailure
from shardstore.workers.wal.log_document import LogDocument, publish_log_document
from shardstore.workers.wal.reader import LsnInterval, records_of
from shardstore.workers.wal.writer import WalWriter
from tests.unit.faulty_filesystem import FaultyFilesystem, Killed
from tests.unit.wal_driver import append, lsns_of, recovered, sync, writer_of

STEPS = 40


class History:
    """What the log reported to its caller."""

    def __init__(self) -> None:
        self.appended = 0
        self.durable = 0
        self.checkpoint = 0


def work(filesystem: FaultyFilesystem, history: History) -> None:
    """Recover, then append with rotations, syncs, and a release in between; after a full disk, try again."""
    log = recovered(filesystem)
    writer = writer_of(filesystem, log)
    history.appended = history.durable = writer.lsn_appended
    for step in range(STEPS):
        try:
            history.appended = append(writer)
        except DiskFull:
            continue
        if step % 7 == 6:
            sync(filesystem, writer)
            history.durable = writer.lsn_durable
        if step == STEPS // 2:
            release(filesystem, writer, log.log_id, history)


def release(filesystem: FaultyFilesystem, writer: WalWriter, log_id: int, history: History) -> None:
    """Advance the checkpoint as a drain does, and remove the files it frees."""
    history.checkpoint = writer.lsn_durable
    publish_log_document(filesystem, LogDocument("store", 3, log_id, writer.lsn_durable))
    paths = writer.files_before(writer.lsn_durable)
    writer.forget(paths)
    for path in paths:
        filesystem.remove(path)


def at_call(number: int, error: BaseException, forever: bool = False) -> Callable[[int, str, str], None]:
    def fault(call: int, operation: str, path: str) -> None:
        if call == number or (forever and call > number):
            raise error

    return fault


def calls_of_work() -> int:
    filesystem = FaultyFilesystem()
    work(filesystem, History())
    work(filesystem, History())
    return filesystem.number


def interrupted(error: BaseException, forever: bool = False) -> Iterator[tuple[int, FaultyFilesystem, History]]:
    """Two lives of a log with a fault at call 1, 2, 3 ..., and what the caller knew at the end."""
    for number in range(1, calls_of_work() + 1):
        filesystem, history = FaultyFilesystem(), History()
        filesystem.fault = at_call(number, error, forever)
        try:
            work(filesystem, history)
            work(filesystem, history)
        except (StorageFailure, Killed):
            pass
        filesystem.healthy()
        yield number, filesystem, history


def check(filesystem: FaultyFilesystem, history: History, least: int) -> None:
    """Check that a prefix up to at least `least` is left, and that recovering again changes nothing."""
    log = recovered(filesystem)
    lsns = lsns_of(filesystem, log)
    assert lsns == list(range(log.lsn_last - len(lsns) + 1, log.lsn_last + 1))
    assert least <= log.lsn_last <= history.appended + 1
    assert log.next_lsn == log.lsn_last + 1
    assert not lsns or lsns[0] <= history.checkpoint + 1
    again = recovered(filesystem)
    assert (again.files, again.cut) == (log.files, None)


@pytest.mark.fault("W1")
def test_killed_at_every_call() -> None:
    for _, filesystem, history in interrupted(Killed()):
        check(filesystem, history, least=history.appended)


@pytest.mark.fault("L1", "L5")
def test_power_lost_at_every_call() -> None:
    for number, filesystem, history in interrupted(Killed()):
        filesystem.lose_power(number)
        check(filesystem, history, least=history.durable)


@pytest.mark.fault("L7")
@pytest.mark.parametrize("forever", [False, True])
def test_refused_at_every_call(forever: bool) -> None:
    for number, filesystem, history in interrupted(StorageFailure("input/output error"), forever):
        filesystem.lose_power(number)
        check(filesystem, history, least=history.durable)


@pytest.mark.fault("L8")
@pytest.mark.parametrize("forever", [False, True])
def test_disk_full_at_every_call(forever: bool) -> None:
    for _, filesystem, history in interrupted(DiskFull("no space"), forever):
        check(filesystem, history, least=history.durable)


@pytest.mark.fault("W1")
@pytest.mark.parametrize("lose_power", [False, True])
def test_recovery_of_a_torn_log_killed_at_every_call_ends_the_same(lose_power: bool) -> None:
    def torn_log() -> FaultyFilesystem:
        filesystem, history = FaultyFilesystem(), History()
        work(filesystem, history)
        filesystem.lose_power(3)
        return filesystem

    undisturbed = torn_log()
    calls_before = undisturbed.number
    expected = recovered(undisturbed)
    assert expected.cut is not None, "choose another seed: the log is to be torn"
    for number in range(calls_before + 1, undisturbed.number + 1):
        filesystem = torn_log()
        filesystem.fault = at_call(number, Killed())
        with pytest.raises(Killed):
            recovered(filesystem)
        filesystem.healthy()
        if lose_power:
            filesystem.lose_power(number)
        log = recovered(filesystem)
        assert (log.files, log.lsn_last) == (expected.files, expected.lsn_last)
        assert lsns_of(filesystem, log) == lsns_of(undisturbed, expected)


@pytest.mark.fault("W1")
def test_log_killed_twenty_times_in_a_row() -> None:
    filesystem, history = FaultyFilesystem(), History()
    for number in range(20):
        filesystem.fault = at_call(filesystem.number + 30 + number, Killed())
        with pytest.raises(Killed):
            work(filesystem, history)
        filesystem.lose_power(number)
        filesystem.healthy()
        check(filesystem, history, least=history.durable)


def test_reading_fails_at_every_call() -> None:
    """A drain that cannot read raises; it never omits records."""
    filesystem = FaultyFilesystem()
    work(filesystem, History())
    log = recovered(filesystem)
    wanted = {1: LsnInterval(log.files[0].lsn_first, log.lsn_last)}
    before = filesystem.number
    assert [record.segment for record in records_of(filesystem, 3, log.log_id, wanted) if record]
    for number in range(1, filesystem.number - before + 1):
        filesystem.fault = at_call(filesystem.number + number, StorageFailure("input/output error"))
        with pytest.raises(StorageFailure):
            list(records_of(filesystem, 3, log.log_id, wanted))
