"""DELETE_RANGE at a worker: applied once, in order with other writes, and at once in every read."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from shardstore.key_range import KeyRange
from shardstore.limits import BOUND_BYTES_MAX, SECOND_NS
from shardstore.options import Durability, ScanMode
from shardstore.outcome import Ending
from shardstore.tables.table_reader import Table
from shardstore.wire.messages import ScanRequest
from shardstore.wire.wire_format import Flag, Op, Status
from shardstore.workers.jobs import cleared_tables
from shardstore.workers.overlay import overlay
from tests.unit.worker_driver import WorkerDriver, refusal, reopened, scan_all
from tests.unit.workers.serving.scan_driver import AtWorker, write

KEYS = [b"k%03d" % number for number in range(300)]


def filled(root: Path, flushed: bool) -> WorkerDriver:
    worker = WorkerDriver(root).serve()
    write(worker, dict.fromkeys(KEYS, b"old"))
    if flushed:
        worker.ask(Op.FLUSH)
        worker.settle()
    return worker


def clear(worker: WorkerDriver, start: bytes = b"", end: bytes = b"", **fields: int) -> int:
    sequence = worker.delete_range(start, end, **fields)
    while worker.syncs:
        worker.sync()
    return sequence


def keys_of(worker: WorkerDriver) -> list[bytes]:
    return [key for key, _ in scan_all(worker, ScanRequest())]


@pytest.mark.parametrize("flushed", [False, True], ids=["in memory", "in a table"])
@pytest.mark.parametrize("in_place_max", [0, 10_000], ids=["set aside", "in place"])
def test_all_keys_of_the_range_are_gone_and_no_other(tmp_path: Path, flushed: bool, in_place_max: int) -> None:
    with patch.object(overlay, "CLEARED_IN_PLACE_MAX", in_place_max):
        worker = filled(tmp_path, flushed)
        assert worker.status(clear(worker, b"k100", b"k2")) is Status.OK
        write(worker, {b"k150": b"new"})
        left = [*KEYS[:100], b"k150", *KEYS[200:]]
        assert keys_of(worker) == left
        assert worker.get(KEYS) == [b"new" if key == b"k150" else b"old" if key in left else None for key in KEYS]
        worker.ask(Op.FLUSH)
        worker.settle()
        assert keys_of(worker) == left
        assert keys_of(reopened(worker)) == left


def test_without_bounds_everything_is_deleted_and_the_files_go(tmp_path: Path) -> None:
    worker = filled(tmp_path, flushed=True)
    with patch.object(cleared_tables, "CUT_ENTRIES_MIN", 1):
        clear(worker)
        assert keys_of(worker) == []
        worker.ask(Op.FLUSH)
        worker.settle()
    assert not [*tmp_path.glob("segments/*/*.sst")]
    write(worker, {b"k150": b"new"})
    assert keys_of(worker) == [b"k150"]


@pytest.mark.parametrize("durability", list(Durability))
def test_it_shows_once_it_is_as_durable_as_other_writes(tmp_path: Path, durability: Durability) -> None:
    worker = WorkerDriver(tmp_path, durability=durability).serve()
    write(worker, {b"a": b"1"})
    sequence = worker.delete_range()
    shows = durability is Durability.ASYNC
    assert (worker.status(sequence), worker.get([b"a"])) == ((Status.OK, [None]) if shows else (None, [b"1"]))
    worker.settle()
    assert (worker.status(sequence), worker.get([b"a"])) == (Status.OK, [None])


def test_a_retry_deletes_nothing_that_was_put_since(worker: WorkerDriver) -> None:
    write(worker, {b"a": b"1"})
    sequence = clear(worker)
    write(worker, {b"b": b"2"})
    worker.delete_range(sequence=sequence, flags=Flag.RETRY)
    assert [header.status for header, _ in worker.answers(sequence)] == [Status.OK, Status.OK]
    assert worker.get([b"a", b"b"]) == [None, b"2"]
    again = reopened(worker)
    again.delete_range(sequence=sequence, flags=Flag.RETRY)
    assert again.get([b"a", b"b"]) == [None, b"2"]


def test_what_became_of_it_can_be_asked(worker: WorkerDriver) -> None:
    sequence = clear(worker)
    assert worker.told(worker.outcome(b"a", sequence)) == Ending.APPLIED
    never = worker.outcome(b"a", 9_999)
    worker.settle()
    assert worker.told(never) == Ending.NOT_APPLIED
    assert worker.status(worker.delete_range(sequence=9_999, flags=Flag.RETRY)) is Status.TOO_OLD


def test_conditions_are_judged_on_one_that_is_not_applied_yet(worker: WorkerDriver) -> None:
    write(worker, {b"a": b"1", b"z": b"1"})
    worker.delete_range(b"", b"m")
    wrong = worker.compare_and_set(b"a", b"1", b"2")
    right = worker.compare_and_set(b"b", None, b"2")
    other = worker.compare_and_set(b"z", b"1", b"2")
    counted = worker.increment(b"a", 5)
    worker.settle()
    assert [worker.told(each) for each in (wrong, right, other, counted)] == [False, True, True, 5]


def test_batches_and_takes_see_one_that_is_not_applied_yet(worker: WorkerDriver) -> None:
    write(worker, {b"a": b"1", b"b": b"1", b"z": b"1"})
    worker.delete_range(b"", b"m")
    refused = worker.batch({b"c": b"2"}, {b"a": b"1"})
    accepted = worker.batch({b"n": b"2"}, {b"a": None, b"b": None})
    first, second = worker.take(), worker.take()
    worker.settle()
    assert [header.entries for each in (refused, accepted) for header, _ in worker.answers(each)] == [0, 1]
    assert [worker.taken(each) for each in (first, second)] == [(b"n", b"2"), (b"z", b"1")]


def test_a_range_beyond_that_of_the_segment_is_refused(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=(b"m",)).serve()
    for bounds in ((b"", b""), (b"a", b"n"), (b"x", b"y")):
        sequence = worker.delete_range(*bounds)
        assert worker.status(sequence) is Status.INVALID
        assert "outside the range" in refusal(worker, sequence).what
    assert worker.status(worker.delete_range(b"c", b"b")) is Status.INVALID
    assert worker.status(worker.delete_range(b"", b"a" * (BOUND_BYTES_MAX + 1))) is Status.INVALID
    assert worker.status(worker.delete_range(b"", b"m", client=0)) is Status.INVALID
    assert not worker.syncs, "nothing was logged"
    assert worker.status(clear(worker, b"", b"m")) is Status.OK
    assert worker.status(clear(worker, b"m", b"", segment=2)) is Status.OK


def test_scans_keep_what_their_mode_promises(tmp_path: Path) -> None:
    worker = filled(tmp_path, flushed=True)
    with patch("shardstore.tables.scan_page.SCAN_PAGE_ENTRIES", 50):
        snapshot, live = AtWorker(worker, ScanMode.SNAPSHOT), AtWorker(worker, ScanMode.LIVE)
        fails = AtWorker(worker, ScanMode.FAIL_FAST)
        pages = [scan.page() for scan in (snapshot, live, fails)]
        clear(worker, b"k0", b"k2")
        assert [key for key, _ in pages[0] + snapshot.rest()] == KEYS
        assert [key for key, _ in pages[1] + live.rest()] == KEYS[:50] + KEYS[200:]
        assert "written" in fails.why_not()
        AtWorker(worker, ScanMode.FULL_ISOLATION).page()
        assert worker.status(worker.delete_range()) is Status.BUSY


@pytest.mark.parametrize("cut_min", [1, 10_000], ids=["cut", "tombstones"])
def test_a_snapshot_shows_the_same_after_the_drain(tmp_path: Path, cut_min: int) -> None:
    with (
        patch("shardstore.tables.scan_page.SCAN_PAGE_ENTRIES", 50),
        patch.object(overlay, "CLEARED_IN_PLACE_MAX", 0),
        patch.object(cleared_tables, "CUT_ENTRIES_MIN", cut_min),
    ):
        worker = filled(tmp_path, flushed=True)
        write(worker, {b"m%03d" % number: b"v" for number in range(100)})
        before = AtWorker(worker, ScanMode.SNAPSHOT)
        expected = keys_of(worker)
        first = before.page()
        clear(worker, b"k02", b"m05")
        after = AtWorker(worker, ScanMode.SNAPSHOT)
        expected_after = keys_of(worker)
        first_after = after.page()
        write(worker, {b"k100": b"new"})
        clear(worker, b"m06", b"m07")
        worker.ask(Op.FLUSH)
        worker.settle()
        assert [key for key, _ in first + before.rest()] == expected
        assert [key for key, _ in first_after + after.rest()] == expected_after


def test_a_scan_never_counts_what_is_hidden(tmp_path: Path) -> None:
    worker = filled(tmp_path, flushed=True)
    clear(worker, b"k010", b"k290")
    asked: list[int] = []
    positions = Table._positions

    def noted(table: Table, key_range: KeyRange) -> tuple[int, int]:
        first, behind = positions(table, key_range)
        asked.append(behind - first)
        return first, behind

    with patch.object(Table, "_positions", noted):
        assert keys_of(worker) == [*KEYS[:10], *KEYS[290:]]
    assert 0 < max(asked) <= 10


def test_its_layer_is_drained_soon(tmp_path: Path) -> None:
    worker = filled(tmp_path, flushed=True)
    clear(worker, b"k010", b"k290")
    for _ in range(2):
        worker.now_ns += SECOND_NS
        worker.core.service.pass_time(worker.now_ns)
        worker.ask(Op.STATS, segment=0)
        worker.settle()
    assert not worker.core._ranges[1].overlay
    assert keys_of(worker) == [*KEYS[:10], *KEYS[290:]]
