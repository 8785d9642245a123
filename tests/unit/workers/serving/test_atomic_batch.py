"""Atomic batches in a worker: all or nothing, on conditions, exactly once, whatever is drained or replayed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardstore.files.file_names import wal_file
from shardstore.limits import REQUEST_ENTRIES_MAX
from shardstore.options import Durability
from shardstore.seams.effects import WalSyncFailed
from shardstore.wire.columns import encode_variable
from shardstore.wire.messages import ScanRequest
from shardstore.wire.wire_format import Flag, Op, Status
from shardstore.workers.inspection.log_file import inspect_log_file
from tests.unit.worker_driver import WorkerDriver, refusal, reopened, scan_all

OTHER = 0x07E4
RETRY = int(Flag.RETRY)
NOTHING = encode_variable([])


def told(worker: WorkerDriver, sequence: int) -> bool | int | str:
    worker.settle()
    return worker.told(sequence)


def flush(worker: WorkerDriver) -> None:
    worker.ask(Op.FLUSH)
    worker.settle()


@pytest.mark.parametrize("end", ["served", "drained", "replayed"])
def test_a_batch_puts_and_deletes(worker: WorkerDriver, end: str) -> None:
    worker.put({b"old": b"1", b"kept": b"2"})
    flush(worker)
    assert told(worker, worker.batch({b"a": b"x", b"old": None, b"b": b"", b"none": None})) is True
    if end == "drained":
        flush(worker)
    elif end == "replayed":
        worker = reopened(worker)
    assert worker.get([b"a", b"old", b"b", b"none", b"kept"]) == [b"x", None, b"", None, b"2"]
    assert scan_all(worker, ScanRequest()) == [(b"a", b"x"), (b"b", b""), (b"kept", b"2")]


@pytest.mark.fault("L13")
def test_a_batch_is_one_record(worker: WorkerDriver) -> None:
    worker.batch({b"a": b"1", b"b": None, b"c": b"3"}, {b"d": None})
    worker.settle()
    [record] = inspect_log_file(worker._files(), wal_file(0, 1), b"", 9).facts["records"]
    assert (record["lsn"], record["kind"], record["entries"]) == (1, "BATCH", 3)


def test_the_later_of_two_changes_of_a_key_counts(worker: WorkerDriver) -> None:
    keys, values = encode_variable([b"a", b"b", b"a", b"b"]), encode_variable([b"1", None, None, b"2"])
    sequence = worker.ask(Op.BATCH, [keys, values, NOTHING, NOTHING], entries=4)
    assert told(worker, sequence) is True
    for served in (worker, reopened(worker)):
        assert served.get([b"a", b"b"]) == [None, b"2"]
        flush(served)
        assert served.get([b"a", b"b"]) == [None, b"2"]


@pytest.mark.parametrize(
    ("required", "holds"),
    [
        ({b"a": b"1"}, True),
        ({b"a": b"1", b"none": None, b"gone": None}, True),
        ({b"a": None}, False),
        ({b"a": b"1", b"none": b""}, False),
        ({b"gone": b"x"}, False),
    ],
)
@pytest.mark.parametrize("flushed", [False, True])
def test_all_conditions_must_hold(
    worker: WorkerDriver, required: dict[bytes, bytes | None], holds: bool, flushed: bool
) -> None:
    worker.put({b"a": b"1", b"gone": b"x"})
    worker.delete([b"gone"])
    worker.settle()
    if flushed:
        flush(worker)
    assert told(worker, worker.batch({b"a": b"2", b"b": b"2"}, required)) is holds
    assert worker.get([b"a", b"b"]) == ([b"2", b"2"] if holds else [b"1", None])


def test_a_batch_of_conditions_only_logs_nothing(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"})
    worker.settle()
    wal = worker.core.service.writes.wal  # type: ignore[union-attr]
    assert told(worker, worker.batch({}, {b"a": b"1"})) is True
    assert told(worker, worker.batch({}, {b"a": b"2"})) is False
    assert wal.lsn_appended == 1


@pytest.mark.parametrize("durability", [Durability.GROUP_SYNC, Durability.SYNC])
def test_conditions_see_what_is_logged_and_not_applied(tmp_path: Path, durability: Durability) -> None:
    worker = WorkerDriver(tmp_path, durability).serve()
    put = worker.put({b"a": b"1", b"b": b"1"}, client=OTHER)
    first = worker.batch({b"a": b"2", b"c": None}, {b"a": b"1", b"c": None})
    second = worker.batch({b"b": b"2"}, {b"a": b"2", b"b": b"1"})
    failed = worker.batch({b"b": b"3"}, {b"a": b"1"})
    assert worker.get([b"a", b"b"]) == [None, None]
    assert [worker.status(each) for each in (put, first, second, failed)] == [None] * 4
    worker.settle()
    assert [worker.told(each) for each in (first, second, failed)] == [True, True, False]
    assert worker.get([b"a", b"b", b"c"]) == [b"2", b"2", None]


def test_a_failed_condition_waits_for_the_newest_write_it_was_judged_on(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"}, client=OTHER)
    worker.put({b"b": b"1"}, client=OTHER)
    newest = worker.core.service.writes.wal.lsn_appended  # type: ignore[union-attr]
    failed = worker.batch({b"c": b"1"}, {b"a": b"1", b"b": b"2"})
    held = worker.core.service.writes._logged[-1]  # type: ignore[union-attr]
    assert (held.lsn, len(held.waiting)) == (newest, 2)
    worker.settle()
    assert worker.told(failed) is False


def test_after_a_failed_sync_a_batch_is_unknown(worker: WorkerDriver) -> None:
    sequence = worker.batch({b"a": b"1", b"b": b"1"})
    worker.handle(WalSyncFailed("EIO"))
    assert worker.status(sequence) is Status.UNKNOWN


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("changes", [{b"a": b"2", b"b": None}, {b"a": b"2"}, {b"a": None}])
def test_a_retry_of_a_batch_is_told_the_same(
    worker: WorkerDriver, flushed: bool, restarted: bool, changes: dict[bytes, bytes | None]
) -> None:
    worker.put({b"a": b"1"}, client=OTHER)
    worker.settle()
    sequence = worker.batch(changes, {b"a": b"1"})
    worker.settle()
    worker.put({b"a": b"3"}, client=OTHER)
    worker.settle()
    if flushed:
        flush(worker)
    worker = reopened(worker) if restarted else worker
    worker.batch(changes, {b"a": b"1"}, sequence=sequence, flags=RETRY, epoch=worker.epoch)
    assert told(worker, sequence) is True
    assert worker.get([b"a"]) == [b"3"]
    assert told(worker, worker.outcome(b"a", sequence, client=OTHER)) == "applied"


def test_a_batch_that_failed_once_is_not_judged_again(worker: WorkerDriver) -> None:
    failed = worker.batch({b"a": b"1", b"b": b"1"}, {b"a": b"0"})
    worker.put({b"a": b"0"}, client=OTHER)
    worker.settle()
    worker.batch({b"a": b"1", b"b": b"1"}, {b"a": b"0"}, sequence=failed, flags=RETRY)
    worker.settle()
    assert [bool(header.entries) for header, _ in worker.answers(failed)] == [False, False]
    assert worker.get([b"a", b"b"]) == [b"0", None]


def test_a_scan_that_isolates_keeps_batches_waiting(worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shardstore.tables.scan_page.SCAN_PAGE_ENTRIES", 1)
    worker.put({b"a": b"1", b"b": b"2"})
    worker.settle()
    worker.scan_page(ScanRequest(mode="full_isolation"))
    assert worker.status(worker.batch({b"c": b"1"})) is Status.BUSY


def test_the_front_of_a_queue_stays_known_when_a_batch_deletes_there(worker: WorkerDriver) -> None:
    worker.put({b"%03d" % at: b"" for at in range(200)})
    worker.delete([b"%03d" % at for at in range(100)])
    worker.settle()
    assert worker.scan(ScanRequest(limit=1))[0] == [(b"100", b"")]
    empty = worker.core._ranges[1].empty_ranges
    before = list(empty._ranges)
    assert before
    assert told(worker, worker.batch({b"050": None, b"150": b"1"})) is True
    assert empty._ranges == before
    assert told(worker, worker.batch({b"050": b"1", b"150": None})) is True
    assert worker.scan(ScanRequest(limit=1))[0] == [(b"050", b"1")]


def bodies(*changed: tuple[int, bytes]) -> list[bytes]:
    body = [b"ab", b"12", encode_variable([b"c"]), encode_variable([None])]
    for at, frame in changed:
        body[at] = frame
    return body


def ask(worker: WorkerDriver, body: list[bytes], entries: int = 2, flags: int = 3, **fields: int) -> int:
    return worker.ask(Op.BATCH, body, entries=entries, flags=flags, **fields)


@pytest.mark.parametrize(
    ("send", "what"),
    [
        (lambda w: ask(w, bodies(), client=0), "client id"),
        (lambda w: ask(w, bodies(), entries=3), "no 3 items"),
        (lambda w: ask(w, bodies(), entries=REQUEST_ENTRIES_MAX + 1), "a request has 0 to 65536 entries, not 65537"),
        (lambda w: ask(w, bodies((0, b"z" * 10_000))), "5000 bytes"),
        (lambda w: ask(w, bodies((1, b"123"))), "no 2 items"),
        (lambda w: ask(w, bodies((1, b"\x92\xc4\x011\xa11")), flags=1), "max_str_len|byte strings"),
        (lambda w: ask(w, bodies((2, b""))), "no msgpack array"),
        (lambda w: ask(w, bodies((2, b"\xc4\x01a"))), "no msgpack array"),
        (lambda w: ask(w, bodies((2, b"\xdd\xff\xff\xff\xff"))), "a request requires at most 65536 keys"),
        (lambda w: ask(w, bodies((2, encode_variable([None])))), "not byte strings"),
        (lambda w: ask(w, bodies((2, encode_variable([b""])))), "shorter than 1"),
        (lambda w: ask(w, bodies((3, encode_variable([])))), "1 items"),
        (lambda w: ask(w, bodies((3, encode_variable([b"1", b"2"])))), "max_array_len|1 byte strings"),
        (lambda w: ask(w, bodies((2, encode_variable([b"z"])))), "outside the range"),
        (lambda w: ask(w, bodies((0, b"zz"))), "outside the range"),
    ],
)
def test_bad_batches_are_refused(tmp_path: Path, send: Callable[[WorkerDriver], int], what: str) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    sequence = send(worker)
    assert worker.status(sequence) is Status.INVALID
    assert any(part in refusal(worker, sequence).what for part in what.split("|"))
    assert not worker.syncs


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.binary(max_size=40), min_size=4, max_size=4),
    st.integers(0, 70_000),
    st.integers(0, 3),
    st.data(),
)
def test_random_frames_are_refused_or_applied_whole(
    tmp_path_factory: pytest.TempPathFactory, body: list[bytes], entries: int, flags: int, data: Any
) -> None:
    worker = WorkerDriver(tmp_path_factory.mktemp("random"), Durability.ASYNC).serve()
    sound = bodies()
    for at in data.draw(st.sets(st.integers(0, 3))):
        body[at] = sound[at]
    sequence = ask(worker, body, data.draw(st.sampled_from([entries, 0, 1, 2])), flags)
    header, _ = worker.answer(sequence)
    assert header.status in (Status.OK, Status.INVALID)
    appended = worker.core.service.writes.wal.lsn_appended  # type: ignore[union-attr]
    assert appended <= (header.status == Status.OK)
    assert reopened(worker).core.service is not None
