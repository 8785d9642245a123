"""Conditional operations and outcomes in a worker: the write they are evaluated on, when they reply, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shardstore.limits import DEDUP_WINDOW
from shardstore.options import Durability
from shardstore.seams.effects import WalSyncFailed
from shardstore.wire.messages import Refusal, ScanRequest, decode, encode
from shardstore.wire.wire_format import Flag, Op, Status
from tests.unit.worker_driver import CLIENT, WorkerDriver

OTHER = 0x07E4
RETRY = int(Flag.RETRY)


def reopened(worker: WorkerDriver) -> WorkerDriver:
    """Start the next process on the same files, after a kill."""
    return WorkerDriver(worker.root, worker.durability, create=False, epoch=worker.epoch).serve()


def told(worker: WorkerDriver, sequence: int) -> bool | int | str:
    worker.settle()
    return worker.told(sequence)


# ---------------------------------------------------------------- conditions


def test_a_key_is_set_only_where_the_expected_value_is(worker: WorkerDriver) -> None:
    assert told(worker, worker.compare_and_set(b"a", None, b"1")) is True
    assert told(worker, worker.compare_and_set(b"a", None, b"2")) is False
    assert told(worker, worker.compare_and_set(b"a", b"2", b"3")) is False
    assert told(worker, worker.compare_and_set(b"a", b"1", b"")) is True
    assert worker.get([b"a"]) == [b""]
    assert told(worker, worker.compare_and_set(b"a", b"", None)) is True
    assert worker.get([b"a"]) == [None]
    assert told(worker, worker.compare_and_set(b"a", None, b"4")) is True


def test_conditions_are_judged_on_files_too(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1", b"n": b"41", b"gone": b"x"})
    worker.delete([b"gone"])
    worker.ask(Op.FLUSH)
    worker.settle()
    assert told(worker, worker.compare_and_set(b"a", b"1", b"2")) is True
    assert told(worker, worker.increment(b"n")) == 42
    assert told(worker, worker.compare_and_set(b"gone", None, b"y")) is True


def test_a_counter_is_decimal_text_and_begins_at_0(worker: WorkerDriver) -> None:
    assert [told(worker, worker.increment(b"n", by)) for by in (1, 10, -12, 0)] == [1, 11, -1, -1]
    assert worker.get([b"n"]) == [b"-1"]


@pytest.mark.parametrize("value", [b"", b"x", b"01", b"-0", b"+1", b" 1", b"1\n", b"1.0", b"9" * 19, b"\xd9\xa1"])
def test_what_is_no_counter_is_left_as_it_is(worker: WorkerDriver, value: bytes) -> None:
    worker.put({b"n": value})
    worker.settle()
    sequence = worker.increment(b"n")
    assert worker.status(sequence) is Status.INVALID
    assert worker.get([b"n"]) == [value]
    assert not worker.syncs


@pytest.mark.parametrize(("start", "by"), [(2**63 - 1, 1), (-(2**63), -1), (1, 2**63 - 1)])
def test_a_sum_beyond_64_bits_is_refused(worker: WorkerDriver, start: int, by: int) -> None:
    worker.put({b"n": b"%d" % start})
    worker.settle()
    assert worker.status(worker.increment(b"n", by)) is Status.INVALID
    assert worker.get([b"n"]) == [b"%d" % start]


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda w: w.ask(Op.INCREMENT, [b"ab", b"1"], entries=2, flags=Flag.KEYS_FIXED), "one key"),
        (lambda w: w.ask(Op.INCREMENT, [b"a", b"one"], entries=1, flags=Flag.KEYS_FIXED), "no decimal"),
        (lambda w: w.ask(Op.COMPARE_AND_SET, [b"a", b"\x91\xc0"], entries=1, flags=Flag.KEYS_FIXED), "2 items"),
        (lambda w: w.ask(Op.OUTCOME, [b"a", b"\x80"], entries=1, flags=Flag.KEYS_FIXED), "OutcomeQuestion"),
        (lambda w: w.outcome(b"a", 1, client_asked=0), "client id"),
        (lambda w: w.increment(b"a", client=0), "client id"),
    ],
)
def test_bad_requests_are_refused(worker: WorkerDriver, ask: Callable[[WorkerDriver], int], what: str) -> None:
    header, frames = worker.answer(ask(worker))
    assert header.status == Status.INVALID
    assert what in decode(Refusal, frames[1]).what
    assert not worker.syncs


# ---------------------------------------------------------------- waiting for a sync


@pytest.mark.parametrize("durability", [Durability.GROUP_SYNC, Durability.SYNC])
def test_a_condition_sees_what_is_logged_and_not_applied(tmp_path: Path, durability: Durability) -> None:
    worker = WorkerDriver(tmp_path, durability).serve()
    first = worker.increment(b"n", client=OTHER)
    second = worker.increment(b"n")
    put = worker.put({b"a": b"1", b"b": b"2"})
    held = worker.compare_and_set(b"b", b"2", None)
    assert worker.get([b"n", b"b"]) == [None, None]
    assert worker.status(second) is None
    worker.settle()
    assert [worker.told(sequence) for sequence in (first, second, held)] == [1, 2, True]
    assert worker.status(put) is Status.OK
    assert worker.get([b"a", b"b", b"n"]) == [b"1", None, b"2"]


def test_a_failed_condition_is_answered_when_what_it_was_judged_on_is_durable(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"}, client=OTHER)
    lsn = worker.core.service.writes.wal.lsn_appended  # type: ignore[union-attr]
    failed = worker.compare_and_set(b"a", None, b"2")
    not_counted = worker.put({b"x": b"y"}, client=OTHER)
    assert worker.status(failed) is None
    assert worker.core.service.writes.wal.lsn_appended == lsn + 1  # type: ignore[union-attr]  # only the put
    worker.sync()
    assert worker.told(failed) is False
    assert worker.status(not_counted) is None


def test_a_failed_condition_on_what_is_applied_is_answered_at_once(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"})
    worker.settle()
    worker.put({b"b": b"1"}, client=OTHER)
    assert worker.told(worker.compare_and_set(b"a", None, b"2")) is False


def test_after_a_failed_sync_what_was_judged_on_it_is_unknown(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"}, client=OTHER)
    failed = worker.compare_and_set(b"a", None, b"2")
    worker.handle(WalSyncFailed("EIO"))
    assert worker.status(failed) is Status.UNKNOWN


def test_fail_fast_sees_a_condition_that_held_and_none_that_failed(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1", b"b": b"2"})
    worker.settle()
    _, _, state = worker.scan_page(ScanRequest(mode="fail_fast", limit=1))
    assert told(worker, worker.compare_and_set(b"a", b"2", b"3")) is False
    assert told(worker, worker.outcome(b"a", 99, client=OTHER, client_asked=OTHER)) == "not_applied"
    worker.scan_page(ScanRequest(mode="fail_fast", limit=1, cursor=state))
    assert told(worker, worker.compare_and_set(b"a", b"1", b"3")) is True
    sequence = worker.ask(Op.SCAN, [encode(ScanRequest(mode="fail_fast", limit=1, cursor=state))])
    assert worker.status(sequence) is Status.SCAN_INVALIDATED


def test_a_scan_that_isolates_keeps_conditions_waiting(worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shardstore.tables.scan_page.SCAN_PAGE_ENTRIES", 1)
    worker.put({b"a": b"1", b"b": b"2"})
    worker.settle()
    _, _, cursor = worker.scan_page(ScanRequest(mode="full_isolation"))
    for sequence in (worker.increment(b"n"), worker.outcome(b"a", 99), worker.compare_and_set(b"a", b"1", b"2")):
        assert worker.status(sequence) is Status.BUSY
    worker.ask(Op.END_SCAN, [encode(ScanRequest(mode="full_isolation", cursor=cursor))])
    assert told(worker, worker.increment(b"n")) == 1


# ---------------------------------------------------------------- exactly once


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_retry_of_an_increment_is_told_the_same(worker: WorkerDriver, flushed: bool, restarted: bool) -> None:
    sequence = worker.increment(b"n", 5)
    worker.settle()
    worker.increment(b"n", 1, client=OTHER)
    if flushed:
        worker.ask(Op.FLUSH)
    worker.settle()
    worker = reopened(worker) if restarted else worker
    worker.increment(b"n", 5, sequence=sequence, flags=RETRY)
    assert told(worker, sequence) == 5
    assert worker.get([b"n"]) == [b"6"]


@pytest.mark.parametrize("flushed", [False, True])
def test_a_retry_of_a_compare_and_set_is_told_the_same(worker: WorkerDriver, flushed: bool) -> None:
    held = worker.compare_and_set(b"a", None, b"1")
    worker.settle()
    worker.compare_and_set(b"a", b"1", None, client=OTHER)
    if flushed:
        worker.ask(Op.FLUSH)
    worker.settle()
    worker = reopened(worker)
    worker.compare_and_set(b"a", None, b"1", sequence=held, flags=RETRY)
    assert told(worker, held) is True
    assert worker.get([b"a"]) == [None]


def test_a_condition_that_failed_once_is_not_judged_again(worker: WorkerDriver) -> None:
    """A late copy of the request must not be applied after its caller was told that it was not."""
    worker.put({b"a": b"1"}, client=OTHER)
    failed = worker.compare_and_set(b"a", None, b"2")
    worker.compare_and_set(b"a", None, b"2", sequence=failed, flags=RETRY)
    assert worker.status(failed) is None
    worker.settle()
    worker.delete([b"a"], client=OTHER)
    worker.settle()
    worker.compare_and_set(b"a", None, b"2", sequence=failed)
    assert [bool(header.entries) for header, _ in worker.answers(failed)] == [False, False, False]
    assert worker.get([b"a"]) == [None]


def test_a_retry_of_a_waiting_increment_is_answered_with_it(worker: WorkerDriver) -> None:
    sequence = worker.increment(b"n")
    worker.increment(b"n", sequence=sequence, flags=RETRY)
    assert worker.status(sequence) is None
    worker.settle()
    assert [frames[1] for _, frames in worker.answers(sequence)] == [b"1", b"1"]


def test_an_increment_with_the_id_of_another_write_is_refused(worker: WorkerDriver) -> None:
    sequence = worker.put({b"n": b"7"})
    worker.settle()
    worker.increment(b"n", sequence=sequence)
    assert worker.status(sequence) is Status.INVALID


# ---------------------------------------------------------------- outcomes


def test_the_outcome_of_an_applied_write_waits_for_its_sync(worker: WorkerDriver) -> None:
    sequence = worker.put({b"a": b"1"})
    asked = worker.outcome(b"a", sequence, client=OTHER)
    assert worker.status(asked) is None
    assert told(worker, asked) == "applied"


@pytest.mark.parametrize("flushed", [False, True])
def test_the_outcome_of_an_applied_write_is_known_to_the_next_process(worker: WorkerDriver, flushed: bool) -> None:
    sequence = worker.increment(b"n")
    if flushed:
        worker.ask(Op.FLUSH)
    worker.settle()
    worker = reopened(worker)
    assert told(worker, worker.outcome(b"n", sequence, client=OTHER)) == "applied"


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_not_applied_never_is(worker: WorkerDriver, flushed: bool, restarted: bool) -> None:
    late = 77
    asked = worker.outcome(b"a", late, client=OTHER, sequence=1)
    assert worker.status(asked) is None, "a bar that a crash can undo is not reported"
    assert told(worker, asked) == "not_applied"
    if flushed:
        assert told(worker, worker.outcome(b"a", late, client=OTHER)) == "not_applied"
        flush = worker.ask(Op.FLUSH)
        worker.settle()
        assert worker.status(flush) is Status.OK
    worker = reopened(worker) if restarted else worker
    worker.put({b"a": b"1"}, sequence=late, flags=RETRY)
    assert worker.status(late) is Status.TOO_OLD
    worker.increment(b"a", sequence=late)
    assert worker.status(late) is Status.TOO_OLD
    assert told(worker, worker.outcome(b"a", late, client=OTHER)) == "not_applied"
    assert worker.get([b"a"]) == [None]
    following = worker.put({b"a": b"2"}, sequence=late + 1)
    worker.settle()
    assert worker.status(following) is Status.OK


def test_a_bar_does_not_keep_the_log_for_ever(worker: WorkerDriver) -> None:
    told(worker, worker.outcome(b"a", 5, client=OTHER))
    worker.ask(Op.FLUSH)
    worker.settle()
    wal = worker.core.service.writes.wal  # type: ignore[union-attr]
    assert worker.core.service.maintenance.releases.checkpoint() == wal.lsn_appended  # type: ignore[union-attr]
    assert not worker.core._ranges[1].overlay.runs


def test_the_outcome_of_what_was_overtaken_or_failed_is_not_applied(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"}, sequence=9)
    failed = worker.compare_and_set(b"a", None, b"2", sequence=10)
    worker.settle()
    for sequence in (8, failed):
        assert told(worker, worker.outcome(b"a", sequence, client=OTHER)) == "not_applied"


def test_the_outcome_of_a_share_is_unknown_to_who_has_keys_of_another(worker: WorkerDriver) -> None:
    sequence = worker.put({b"a": b"1"})
    for elsewhere, ending in (((), "applied"), ((b"b", b"c"), "unknown"), ((b"", b"a", b"b", b""), "unknown")):
        assert told(worker, worker.outcome(b"a", sequence, client=OTHER, elsewhere=elsewhere)) == ending
    assert told(worker, worker.outcome(b"a", 99, client=OTHER, elsewhere=(b"b", b"c"))) == "unknown"
    late = worker.put({b"a": b"2"}, sequence=99)
    worker.settle()
    assert worker.status(late) is Status.OK, "nothing was barred"


def test_the_outcome_of_what_was_forgotten_is_unknown(worker: WorkerDriver) -> None:
    sequences = range(2, 6 * DEDUP_WINDOW, 2)  # the odd sequences went to other ranges
    for sequence in sequences:
        worker.put({b"a": b"1"}, sequence=sequence)
    worker.settle()
    for process in (worker, reopened(worker)):
        asked = (sequences[0], sequences[DEDUP_WINDOW - 1], sequences[-DEDUP_WINDOW], sequences[-1])
        endings = [told(process, process.outcome(b"a", at, client=OTHER)) for at in asked]
        assert endings == ["unknown", "unknown", "applied", "applied"]


def test_a_client_asks_for_its_own_write(worker: WorkerDriver) -> None:
    sequence = worker.put({b"a": b"1"})
    worker.settle()
    assert told(worker, worker.outcome(b"a", sequence, client=CLIENT)) == "applied"
