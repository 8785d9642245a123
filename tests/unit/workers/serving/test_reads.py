"""The replies of a worker to GET and SCAN, from all layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from shardstore.limits import FRAME_BYTES_MAX, VALUE_BYTES_MAX
from shardstore.wire.messages import ScanRequest, encode
from shardstore.wire.wire_format import Flag, Op, Status
from tests.unit.worker_driver import WorkerDriver, scan_all

MEBIBYTE = 1 << 20


def test_get_answers_through_active_layer_run_and_table(worker: WorkerDriver) -> None:
    worker.put({b"table": b"1", b"both": b"old", b"gone": b"x"})
    worker.settle()
    worker.ask(Op.FLUSH)
    worker.settle()
    worker.put({b"both": b"new"})
    worker.delete([b"gone"])
    worker.settle()
    assert worker.get([b"table", b"both", b"gone", b"never"]) == [b"1", b"new", None, None]
    assert worker.get([b"table", b"gone"], flags=Flag.PRESENCE) == [b"", None]


def test_large_reply_is_cut_and_says_so(worker: WorkerDriver) -> None:
    keys = [b"k%d" % number for number in range(9)]
    for key in keys:
        worker.put({key: key * (2 * MEBIBYTE // 2)})
        worker.settle()
    sequence = worker.ask(Op.GET, [b"".join(keys)], entries=9, flags=Flag.KEYS_FIXED)
    header, frames = worker.answer(sequence)
    assert header.flags & Flag.MORE
    assert 1 <= header.entries < 9
    assert len(frames[1]) <= 17 * MEBIBYTE


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [0, 1, 7])
def test_scan_pages_join_to_every_live_entry(worker: WorkerDriver, reverse: bool, limit: int) -> None:
    model = {}
    for stage in range(4):
        pairs = {b"%03d" % number: b"%d" % stage for number in range(stage, 100, 3)}
        worker.put(pairs)
        gone = [b"%03d" % number for number in range(stage, 100, 7)]
        worker.delete(gone)
        worker.settle()
        model = {key: value for key, value in {**model, **pairs}.items() if key not in gone}
        if stage % 2 == 0:
            worker.ask(Op.FLUSH)
            worker.settle()
    expected = sorted(model.items())
    assert scan_all(worker, ScanRequest(reverse=reverse, limit=limit)) == expected
    part = [(key, value) for key, value in expected if b"02" <= key < b"07"]
    assert scan_all(worker, ScanRequest(b"02", b"07", reverse, limit=limit)) == part


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_of_a_compacted_range_sends_its_blocks(worker: WorkerDriver, reverse: bool) -> None:
    pairs = {b"%06d" % number: b"value %6d" % number for number in range(20_000)}
    worker.put(pairs)
    worker.settle()
    sequence = worker.ask(Op.COMPACT)
    worker.settle()
    assert worker.status(sequence) is Status.OK
    expected = sorted(pairs.items())
    assert scan_all(worker, ScanRequest(reverse=reverse)) == expected
    assert scan_all(worker, ScanRequest(b"000100", b"019900", reverse)) == expected[100:19_900]


def test_scan_outside_the_range_is_empty_and_done(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    assert worker.scan(ScanRequest(b"n", b"z"), segment=1) == ([], b"")


def test_a_page_of_large_values_from_many_layers_is_no_larger_than_one_layer_gives(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, memory=96 << 20).serve()
    for number in range(4):
        worker.put({b"k%d" % number: bytes([number]) * VALUE_BYTES_MAX})
        worker.settle()
        worker.ask(Op.FLUSH)
        worker.settle()
    header, frames = worker.answer(worker.ask(Op.SCAN, [encode(ScanRequest())]))
    assert header.entries == 1
    assert sum(map(len, frames)) < FRAME_BYTES_MAX
