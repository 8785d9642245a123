"""Values that expire in a worker: a model says what is shown, whatever is written, drained, compacted or restarted."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardstore.identifiers import Expiring, Lasting
from shardstore.options import Durability
from shardstore.seams.effects import Tick
from shardstore.tables.segment import Segment
from shardstore.wire.expiring_items import encode_items
from shardstore.wire.lifetimes import NO_END, NO_VALUE, decode_ttl
from shardstore.wire.messages import ScanRequest
from shardstore.wire.wire_format import Flag, Op, Status
from tests.unit.set_wall import WALL_MS
from tests.unit.worker_driver import WorkerDriver, reopened, scan_all

ONE = int(Flag.KEYS_FIXED)
KEYS = [b"k%d" % number for number in range(6)]
NEVER = 2**60


def put_until(worker: WorkerDriver, key: bytes, value: Expiring | Lasting) -> Status | None:
    sequence = worker.ask(Op.PUT_UNTIL, (key, encode_items([value])), flags=ONE, entries=1)
    worker.settle()
    return worker.status(sequence)


def expire(worker: WorkerDriver, key: bytes, end: Expiring | Lasting | None) -> bool:
    sequence = worker.ask(Op.EXPIRE, (key, encode_items([end])), flags=ONE, entries=1)
    worker.settle()
    header, _ = worker.answer(sequence)
    assert header.status == Status.OK
    return bool(header.entries)


def ttl_ms(worker: WorkerDriver, key: bytes) -> int:
    _, frames = worker.answer(worker.ask(Op.TTL, (key,), flags=ONE, entries=1))
    return decode_ttl(frames[1])


def pass_time(worker: WorkerDriver, milliseconds: int) -> None:
    """Let time pass, on the wall clock too, and let the worker lease its clock."""
    worker.wall.ms += milliseconds
    for _ in range(2):
        worker.now_ns += 10**9
        worker.handle(Tick())
        worker.settle()


def flush(worker: WorkerDriver, op: Op = Op.FLUSH) -> None:
    worker.ask(op)
    worker.settle()


def files_of(worker: WorkerDriver) -> Segment:
    segment = worker.core._ranges[1].segment
    assert segment is not None
    return segment


def test_a_lifetime_begins_when_the_worker_takes_the_request(worker: WorkerDriver) -> None:
    assert put_until(worker, b"key", Lasting(500, b"value")) is Status.OK
    assert worker.get([b"key", b"none"]) == [b"value", None]
    assert (ttl_ms(worker, b"key"), ttl_ms(worker, b"none")) == (500, NO_VALUE)
    pass_time(worker, 499)
    assert worker.get([b"key"]) == [b"value"]
    pass_time(worker, 1)
    assert worker.get([b"key"]) == [None]
    assert ttl_ms(worker, b"key") == NO_VALUE
    assert not expire(worker, b"key", Lasting(500, b""))


def test_a_retry_does_not_begin_the_lifetime_anew(worker: WorkerDriver) -> None:
    body = b"key", encode_items([Lasting(500, b"value")])
    worker.ask(Op.PUT_UNTIL, body, flags=ONE, entries=1, sequence=77)
    worker.settle()
    pass_time(worker, 400)
    worker.ask(Op.PUT_UNTIL, body, flags=ONE | Flag.RETRY, entries=1, sequence=77)
    worker.settle()
    assert ttl_ms(worker, b"key") == 100


@pytest.mark.parametrize("durability", Durability)
def test_what_was_seen_expired_is_not_shown_by_the_next_process_with_an_earlier_clock(
    tmp_path: Path, durability: Durability
) -> None:
    worker = WorkerDriver(tmp_path, durability).serve()
    put_until(worker, b"key", Expiring(WALL_MS + 60_000, b"value"))
    pass_time(worker, 60_000)
    assert worker.get([b"key"]) == [None]
    again = WorkerDriver(tmp_path, durability, epoch=2, create=False).serve()
    assert again.wall.ms == WALL_MS
    again.settle()
    assert again.get([b"key"]) == [None]
    flush(again)
    assert scan_all(again, ScanRequest()) == []


def test_restarts_do_not_put_the_clock_ahead_of_the_wall_by_more_than_a_lease(tmp_path: Path) -> None:
    WorkerDriver(tmp_path).serve()
    for epoch in range(2, 12):
        worker = WorkerDriver(tmp_path, epoch=epoch, create=False).serve()
        put_until(worker, b"key", Lasting(10_000, b"value"))
    pass_time(worker, 5_000)
    assert worker.get([b"key"]) == [b"value"]


def test_an_expired_value_hides_older_ones_until_nothing_is_below(worker: WorkerDriver) -> None:
    worker.put({b"key": b"old", b"other": b"stays"})
    flush(worker)
    put_until(worker, b"key", Lasting(500, b"new"))
    flush(worker)
    pass_time(worker, 500)
    assert worker.get([b"key"]) == [None]
    flush(worker, Op.COMPACT)
    assert worker.get([b"key", b"other"]) == [None, b"stays"]
    files = files_of(worker)
    assert (files.expiring, files.tombstones) == (0, 0)


def test_a_range_is_compacted_once_most_of_it_has_expired(worker: WorkerDriver) -> None:
    for first in range(0, 1_500, 500):
        keys = [b"%06d" % number for number in range(first, first + 500)]
        column = encode_items([Lasting(60_000, b"value")] * 500)
        worker.ask(Op.PUT_UNTIL, (b"".join(keys), column), flags=ONE, entries=500)
    worker.put({b"plain%d" % number: b"value" for number in range(100)})
    worker.settle()
    flush(worker)
    assert files_of(worker).expiring == 1_500
    pass_time(worker, 59_000)
    assert files_of(worker).expiring == 1_500
    pass_time(worker, 1_000)
    assert files_of(worker).expiring == 0
    assert worker.count().entries == 100
    assert "about 1500 have expired" in worker.statistics()["jobs"]["last_compaction"]


def test_a_store_without_such_values_logs_no_lease(worker: WorkerDriver) -> None:
    worker.put({b"key": b"value"})
    worker.settle()
    service = worker.core.service
    assert service is not None
    before = service.writes.wal.lsn_appended
    pass_time(worker, 10_000)
    assert service.writes.wal.lsn_appended == before
    put_until(worker, b"key", Lasting(10, b"value"))
    assert service.writes.wal.lsn_appended == before + 2


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(KEYS), st.just(0)),
        st.tuples(st.just("until"), st.sampled_from(KEYS), st.sampled_from([1, 100, 3_000, 10_000])),
        st.tuples(st.just("expire"), st.sampled_from(KEYS), st.sampled_from([0, 100, 3_000])),
        st.tuples(st.just("delete"), st.sampled_from(KEYS), st.just(0)),
        st.tuples(st.just("time"), st.just(b""), st.sampled_from([1, 100, 2_900, 10_000, -5_000])),
        st.tuples(st.sampled_from(["flush", "compact", "restart", "pop", "increment"]), st.just(KEYS[0]), st.just(0)),
    ),
    max_size=25,
)


@given(STEPS)
@settings(max_examples=25, deadline=None)
def test_a_model_says_what_is_shown(steps: list[tuple[str, bytes, int]]) -> None:
    with TemporaryDirectory() as directory:
        worker = WorkerDriver(Path(directory)).serve()
        model: dict[bytes, tuple[bytes, int]] = {}
        clock = WALL_MS
        for number, (step, key, argument) in enumerate(steps):
            value = b"%d" % number
            if step == "put":
                worker.put({key: value})
                model[key] = value, NEVER
            elif step == "until":
                put_until(worker, key, Lasting(argument, value))
                model[key] = value, clock + argument
            elif step == "expire":
                moved = expire(worker, key, Lasting(argument, b"") if argument else None)
                assert moved == (key in model and (argument > 0 or model[key][1] != NEVER))
                if key in model:
                    model[key] = model[key][0], clock + argument if argument else NEVER
            elif step == "increment":
                before = model.get(key, (b"0", NEVER))
                sequence = worker.increment(key)
                worker.settle()
                assert worker.told(sequence) == int(before[0]) + 1
                model[key] = b"%d" % (int(before[0]) + 1), before[1]
            elif step == "delete":
                worker.delete([key])
                model.pop(key, None)
            elif step == "pop":
                sequence = worker.take()
                worker.settle()
                first = min(model, default=None)
                assert worker.taken(sequence) == (None if first is None else (first, model.pop(first)[0]))
            elif step == "time":
                pass_time(worker, argument)
                clock = max(clock, worker.wall.ms)
            elif step == "restart":
                wall, sequence = worker.wall, worker._sequence
                worker = reopened(worker)
                worker.wall.ms, worker._sequence = wall.ms, sequence
                clock = max(clock, int(worker.core.service.writes.clock.now_ms()))  # type: ignore[union-attr]
            else:
                flush(worker, Op.FLUSH if step == "flush" else Op.COMPACT)
            worker.settle()
            model = {each: held for each, held in model.items() if clock < held[1]}
            assert worker.get(KEYS) == [model.get(each, (None,))[0] for each in KEYS]
            assert scan_all(worker, ScanRequest()) == sorted((each, held[0]) for each, held in model.items())
            assert worker.count().entries == len(model)
            estimate = worker.count(estimate=True)
            assert abs(estimate.entries - len(model)) <= estimate.error
            for each in KEYS:
                left = NO_VALUE if each not in model else NO_END if model[each][1] == NEVER else model[each][1] - clock
                assert ttl_ms(worker, each) == left
            page, *_ = worker.scan_page(ScanRequest(reverse=True, mode="live"))
            assert [entry[0] for entry in page] == sorted(model)
        worker.core.check_invariants()
        worker.core.check_entries()
