"""TAKE in a worker: the first or last entry, logged or applied, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from shardstore.key_range import KeyRange
from shardstore.limits import TAKEN_BYTES_MAX
from shardstore.options import Durability
from shardstore.seams.effects import Received, WalSyncFailed
from shardstore.wire.messages import ScanRequest, TakeRequest, encode
from shardstore.wire.wire_format import Flag, Header, Op, Status
from shardstore.workers.serving.scan_path import SORTED_A_TURN
from tests.unit.worker_driver import CLIENT, WorkerDriver, refusal, reopened, scan_all

OTHER = 0x07E4
RETRY = int(Flag.RETRY)
NUMBERS = {b"%03d" % at: b"value %d" % at for at in range(100)}


def took(worker: WorkerDriver, sequence: int) -> tuple[bytes, bytes] | None:
    worker.settle()
    return worker.taken(sequence)


def flush(worker: WorkerDriver) -> None:
    worker.ask(Op.FLUSH)
    worker.settle()


@pytest.fixture(params=["memory", "tables", "both"])
def numbers(worker: WorkerDriver, request: pytest.FixtureRequest) -> WorkerDriver:
    """A range with the numbers from 003 to 096 in memory, in tables or in both; others were deleted."""
    worker.put(NUMBERS if request.param != "both" else dict(list(NUMBERS.items())[::2]))
    worker.settle()
    if request.param != "memory":
        flush(worker)
    if request.param == "both":
        worker.put(dict(list(NUMBERS.items())[1::2]))
    worker.delete([b"000", b"001", b"002", b"097", b"098", b"099"])
    worker.settle()
    return worker


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        (b"", b"", b"003", b"096"),
        (b"050", b"", b"050", b"096"),
        (b"", b"050", b"003", b"049"),
        (b"0500", b"051\0", b"051", b"051"),
        (b"000", b"003", None, None),
        (b"0500", b"051", None, None),
        (b"097", b"", None, None),
    ],
)
def test_the_first_and_the_last_entry_within_bounds(
    numbers: WorkerDriver, start: bytes, end: bytes, first: bytes | None, last: bytes | None
) -> None:
    assert took(numbers, numbers.take(start, end)) == (first and (first, NUMBERS[first]))
    if first == last:
        assert took(numbers, numbers.take(start, end, reverse=True)) is None
    else:
        assert took(numbers, numbers.take(start, end, reverse=True)) == (last and (last, NUMBERS[last]))


def test_what_was_taken_is_gone(numbers: WorkerDriver) -> None:
    left = [b"%03d" % at for at in range(3, 97)]
    for turn in range(len(left)):
        reverse = turn % 3 == 0
        key = left.pop(-1 if reverse else 0)
        assert took(numbers, numbers.take(reverse=reverse)) == (key, NUMBERS[key])
        if turn == 40:
            flush(numbers)
        if turn % 20 == 7:
            assert scan_all(numbers, ScanRequest()) == [(key, NUMBERS[key]) for key in left]
    assert took(numbers, numbers.take()) is None
    assert took(numbers, numbers.take(reverse=True)) is None
    again = reopened(numbers)
    assert took(again, again.take(client=OTHER)) is None


def test_an_empty_range_has_nothing_to_take(worker: WorkerDriver) -> None:
    assert took(worker, worker.take()) is None
    assert not worker.syncs


def test_an_empty_value_can_be_taken(worker: WorkerDriver) -> None:
    worker.put({b"a": b""})
    worker.settle()
    assert took(worker, worker.take()) == (b"a", b"")
    assert worker.get([b"a"]) == [None]


# ---------------------------------------------------------------- what is logged and not applied


@pytest.mark.parametrize("durability", [Durability.GROUP_SYNC, Durability.SYNC])
def test_takes_see_each_other_before_their_sync(tmp_path: Path, durability: Durability) -> None:
    worker = WorkerDriver(tmp_path, durability).serve()
    worker.put({b"a": b"1", b"b": b"2", b"d": b"4"})
    worker.settle()
    takers = [worker.take(client=client) for client in (21, 22)]
    worker.put({b"0": b"0", b"c": b"3"}, client=OTHER)
    takers += [worker.take(client=client) for client in (23, 24)]
    worker.batch({b"c": None, b"d": b"5", b"e": None, b"f": b"6"}, client=OTHER)
    takers += [worker.take(client=client) for client in (25, 26, 27)]
    assert [worker.status(each) for each in takers] == [None] * 7
    assert worker.get([b"a", b"b", b"c", b"0"]) == [b"1", b"2", None, None], "nobody sees what a crash could undo"
    worker.settle()
    expected = [(b"a", b"1"), (b"b", b"2"), (b"0", b"0"), (b"c", b"3"), (b"d", b"5"), (b"f", b"6"), None]
    assert [worker.taken(each) for each in takers] == expected
    assert scan_all(worker, ScanRequest()) == []


def test_the_last_entries_are_seen_in_the_same_way(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1", b"b": b"2", b"c": b"3"})
    worker.settle()
    takers = [worker.take(reverse=True, client=21), worker.take(reverse=True, client=22)]
    worker.put({b"b": b"4", b"x": b"9"}, client=OTHER)
    takers += [worker.take(b"", b"x", reverse=True, client=client) for client in (23, 24, 25)]
    takers += [worker.take(reverse=True, client=26)]
    worker.settle()
    expected = [(b"c", b"3"), (b"b", b"2"), (b"b", b"4"), (b"a", b"1"), None, (b"x", b"9")]
    assert [worker.taken(each) for each in takers] == expected


def test_nothing_is_told_once_the_last_write_to_the_range_is_durable(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"})
    worker.settle()
    worker.delete([b"a"], client=OTHER)
    nothing = worker.take()
    assert worker.status(nothing) is None
    assert took(worker, nothing) is None


def test_what_is_logged_is_looked_at_anew_when_some_of_it_was_missed(worker: WorkerDriver) -> None:
    """Writes may be logged and applied between two takes, while others still wait."""
    worker.put({b"b": b"1", b"d": b"1"})
    worker.settle()
    first = worker.take(client=21)
    worker.settle()
    worker.put({b"b": b"2"}, client=OTHER)
    worker.settle()
    worker.put({b"c": b"3"}, client=OTHER)
    second = worker.take(client=22)
    worker.settle()
    assert [worker.taken(first), worker.taken(second)] == [(b"b", b"1"), (b"b", b"2")]


def test_after_a_failed_sync_a_take_is_unknown(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1"})
    worker.settle()
    sequence = worker.take()
    worker.handle(WalSyncFailed("EIO"))
    assert worker.status(sequence) is Status.UNKNOWN


# ---------------------------------------------------------------- exactly once


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("value", [b"1", b" with 7: spaces ", b"\0" * 5_000])
def test_a_retry_gets_the_same_entry(worker: WorkerDriver, flushed: bool, restarted: bool, value: bytes) -> None:
    worker.put({b"a": value, b"b": b"2"}, client=OTHER)
    worker.settle()
    sequence = worker.take()
    worker.settle()
    worker.put({b"a": b"new"}, client=OTHER)
    if flushed:
        worker.ask(Op.FLUSH, client=OTHER)
    worker.settle()
    worker = reopened(worker) if restarted else worker
    worker.take(sequence=sequence, flags=RETRY)
    assert took(worker, sequence) == (b"a", value)
    assert worker.get([b"a", b"b"]) == [b"new", b"2"]
    assert worker.told(told(worker, sequence)) == "applied"


def told(worker: WorkerDriver, sequence: int) -> int:
    asked = worker.outcome(b"a", sequence, client=OTHER)
    worker.settle()
    return asked


def test_a_retry_of_a_waiting_take_is_answered_with_it(worker: WorkerDriver) -> None:
    worker.put({b"a": b"1", b"b": b"2"})
    worker.settle()
    sequence = worker.take()
    worker.take(sequence=sequence, flags=RETRY)
    assert worker.status(sequence) is None
    worker.settle()
    assert [frames[1] for _, frames in worker.answers(sequence)] == [b"a", b"a"]
    assert worker.get([b"b"]) == [b"2"]


def test_a_take_of_nothing_is_not_judged_again(worker: WorkerDriver) -> None:
    sequence = worker.take()
    worker.put({b"a": b"1"}, client=OTHER)
    worker.settle()
    worker.take(sequence=sequence, flags=RETRY)
    assert took(worker, sequence) is None
    assert worker.get([b"a"]) == [b"1"]


def test_a_take_with_the_id_of_another_write_is_refused(worker: WorkerDriver) -> None:
    put = worker.put({b"n": b"7"})
    worker.settle()
    worker.sent.clear()
    worker.take(sequence=put)
    assert refusal(worker, put).what == "the request with this id was no TAKE"
    taken = worker.take()
    worker.settle()
    worker.sent.clear()
    worker.increment(b"n", sequence=taken)
    assert refusal(worker, taken).what == "the request with this id was no INCREMENT"


def test_the_next_write_of_the_client_lets_go_of_the_entry(worker: WorkerDriver) -> None:
    worker.put({b"a": b"x" * 100_000, b"b": b"y" * 100_000})
    worker.settle()
    window = worker.core._ranges[1].dedup
    small = window.size_bytes
    for _ in range(2):
        worker.take()
        worker.settle()
        assert 100_000 < window.size_bytes - small < 101_000
    worker.put({b"c": b""})
    worker.settle()
    assert window.size_bytes - small < 1_000


def test_an_entry_that_is_too_large_to_be_kept_is_left_where_it_is(worker: WorkerDriver) -> None:
    worker.put({b"a": b"x" * (TAKEN_BYTES_MAX - 1)})
    worker.settle()
    assert took(worker, worker.take()) is not None
    worker.put({b"a": b"x" * TAKEN_BYTES_MAX, b"b": b"1"})
    worker.settle()
    sequence = worker.take()
    what = "the entry of b'a' has 1,048,576 bytes, and one that is taken has at most 1,048,576: get and delete it"
    assert refusal(worker, sequence).what == what
    assert took(worker, worker.take(b"b")) == (b"b", b"1")
    assert worker.get([b"a"]) == [b"x" * TAKEN_BYTES_MAX]


# ---------------------------------------------------------------- queues


def test_where_entries_were_taken_nothing_is_looked_for_again(worker: WorkerDriver) -> None:
    worker.put({b"%05d" % at: b"" for at in range(3_000)})
    worker.settle()
    empty = worker.core._ranges[1].empty_ranges
    for at in range(50):
        sequence = worker.take()
        assert empty._ranges == ([KeyRange(b"", b"%05d\0" % (at - 1))] if at else []), "not before it is applied"
        worker.settle()
        assert worker.taken(sequence) == (b"%05d" % at, b"")
    assert empty._ranges == [KeyRange(b"", b"00049\0")]
    worker.put({b"00020": b"again"})
    worker.settle()
    assert took(worker, worker.take()) == (b"00020", b"again")
    assert took(worker, worker.take()) == (b"00050", b"")
    assert took(worker, worker.take(reverse=True)) == (b"02999", b"")
    assert empty._ranges == [KeyRange(b"", b"00050\0"), KeyRange(b"02999", b"")]


def test_a_scan_sees_what_a_take_that_is_not_durable_has_taken(worker: WorkerDriver) -> None:
    worker.put(NUMBERS)
    worker.settle()
    worker.take(b"", b"", client=21)
    worker.take(b"", b"", client=22)
    assert worker.scan(ScanRequest(limit=2))[0] == [(b"000", b"value 0"), (b"001", b"value 1")]
    worker.settle()
    assert worker.scan(ScanRequest(limit=1))[0] == [(b"002", b"value 2")]


@pytest.mark.parametrize("flushed", [False, True])
def test_many_deleted_keys_are_passed_in_several_turns(worker: WorkerDriver, flushed: bool) -> None:
    keys = [b"%06d" % at for at in range(3 * SORTED_A_TURN)]
    worker.put(dict.fromkeys(keys, b"v"))
    worker.put({b"z": b"last"})
    worker.settle()
    if flushed:
        flush(worker)
    worker.delete(keys)
    worker.settle()
    sequence = send_without_turns(worker, TakeRequest())
    assert worker.status(sequence) is None
    assert worker.core.service.scans.turns  # type: ignore[union-attr]
    worker.handle(Received("clients", b"peer", [b"noise"]))
    assert took(worker, sequence) == (b"z", b"last")


def send_without_turns(worker: WorkerDriver, request: TakeRequest) -> int:
    """Send a TAKE, and let no waiting request have its turn."""
    sequence = 900
    header = Header(Op.TAKE, segment=1, epoch=worker.epoch, duration_ms=1_000, client=CLIENT, sequence=sequence)
    worker.take_turn(Received("clients", b"peer", [header.encode(), encode(request)]))
    return sequence


def test_a_scan_that_isolates_keeps_takes_waiting(worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shardstore.tables.scan_page.SCAN_PAGE_ENTRIES", 1)
    worker.put({b"a": b"1", b"b": b"2"})
    worker.settle()
    worker.scan_page(ScanRequest(mode="full_isolation"))
    assert worker.status(worker.take()) is Status.BUSY


def test_bounds_are_those_of_the_range(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    worker.put({b"a": b"1"}, segment=1)
    worker.put({b"z": b"2"}, segment=2)
    worker.settle()
    assert took(worker, worker.take(b"b", segment=1)) is None
    assert took(worker, worker.take(b"n", segment=1)) is None
    assert took(worker, worker.take(b"a", segment=2)) == (b"z", b"2")


@pytest.mark.parametrize(
    ("send", "what"),
    [
        (lambda w: w.take(client=0), "client id"),
        (lambda w: w.ask(Op.TAKE, [b"\x80"]), "fields of a TakeRequest"),
        (lambda w: w.ask(Op.TAKE, [b"\xc1"]), "TakeRequest"),
        (lambda w: w.take(bytes(4_098)), "a bound of a take has at most 4097 bytes"),
        (lambda w: w.take(b"b", b"a"), "a range must end after its start"),
    ],
)
def test_bad_takes_are_refused(worker: WorkerDriver, send: Callable[[WorkerDriver], int], what: str) -> None:
    sequence = send(worker)
    assert worker.status(sequence) is Status.INVALID
    assert what in refusal(worker, sequence).what
    assert not worker.syncs


@pytest.mark.parametrize("entries_min", [0, 100, 1_024])
def test_takes_of_many_clients_share_syncs(
    worker: WorkerDriver, monkeypatch: pytest.MonkeyPatch, entries_min: int
) -> None:
    """What is logged is looked at once, until too much of that is applied."""
    monkeypatch.setattr("shardstore.workers.serving.take.AHEAD_ENTRIES_MIN", entries_min)
    worker.put({b"%05d" % at: b"%d" % at for at in range(400)})
    worker.settle()
    takers, numbers = [], count()
    for turn in range(20):
        takers += [worker.take(client=100 + client) for client in range(10)]
        worker.put({b"9%04d" % next(numbers): b"" for _ in range(30)}, client=OTHER)
        if turn % 3:
            worker.sync()
    worker.settle()
    assert [worker.taken(each) for each in takers] == [(b"%05d" % at, b"%d" % at) for at in range(200)]
