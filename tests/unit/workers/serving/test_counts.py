"""COUNT at a worker: exact at one moment, in turns, and once for a request that is sent again."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from shardstore.limits import BOUND_BYTES_MAX
from shardstore.seams.effects import Received, Tick
from shardstore.tables import counting
from shardstore.wire.messages import CountReply, CountRequest, decode, encode
from shardstore.wire.wire_format import Flag, Header, Op, Status
from tests.unit.worker_driver import CLIENT, WorkerDriver, refusal
from tests.unit.workers.serving.scan_driver import write

KEYS = [b"%05d" % number for number in range(200)]


def layered(root: Path) -> WorkerDriver:
    """Overlapping layers: a table, and newer entries in memory."""
    worker = WorkerDriver(root).serve()
    write(worker, dict.fromkeys(KEYS, b"old"))
    worker.ask(Op.FLUSH)
    worker.settle()
    write(worker, dict.fromkeys(KEYS[::3], b"new"))
    worker.delete(KEYS[:50:2])
    worker.settle()
    return worker


def begin(worker: WorkerDriver, sequence: int = 900, flags: int = 0) -> None:
    """Send a COUNT without giving it its turns."""
    header = Header(Op.COUNT, segment=1, epoch=1, client=CLIENT, duration_ms=1000, sequence=sequence, flags=flags)
    worker.take_turn(Received("clients", b"peer", [header.encode(), encode(CountRequest())]))


def turn(worker: WorkerDriver) -> None:
    worker.take_turn(Tick())


def counted(worker: WorkerDriver, sequence: int = 900) -> int:
    header, frames = worker.answers(sequence)[-1]
    assert header.status == Status.OK
    return decode(CountReply, frames[1]).entries


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_keys_with_a_value_are_counted_within_bounds(tmp_path: Path, step: int) -> None:
    worker = layered(tmp_path)
    with patch.object(counting, "COUNTED_A_STEP", step):
        assert worker.count() == CountReply(175)
        assert worker.count(KEYS[40], KEYS[60]).entries == 15
        assert worker.count(b"x").entries == 0


def test_a_long_count_shows_the_moment_of_its_first_turn(tmp_path: Path) -> None:
    worker = layered(tmp_path)
    with patch.object(counting, "COUNTED_A_STEP", 10):
        begin(worker)
        turn(worker)
        worker.put({b"new": b"v"})
        worker.delete_range()
        worker.settle()
        assert worker.get([KEYS[-1]]) == [None]
        assert counted(worker) == 175
    assert not worker.core._ranges[1].overlay._pins
    assert worker.count().entries == 0


def test_a_count_that_is_sent_again_goes_on(tmp_path: Path) -> None:
    worker = layered(tmp_path)
    with patch.object(counting, "COUNTED_A_STEP", 10):
        begin(worker)
        for _ in range(3):
            turn(worker)
        begin(worker, flags=Flag.RETRY)
        assert len(worker.core.service.scans.turns) == 1
        while worker.core.wakeup_ns() == 0:
            turn(worker)
    assert len(worker.answers(900)) == 1
    assert counted(worker) == 175


def test_a_count_that_is_refused_half_way_holds_nothing(tmp_path: Path) -> None:
    worker = layered(tmp_path)
    with patch.object(counting, "COUNTED_A_STEP", 10):
        begin(worker)
        turn(worker)
        assert worker.core._ranges[1].overlay._pins
        worker.core._ranges[1].raise_epoch(2)
        turn(worker)
    assert worker.status(900) is Status.STALE_ROUTE
    assert not worker.core._ranges[1].overlay._pins


def test_an_estimate_says_how_far_it_may_be_off(tmp_path: Path) -> None:
    worker = layered(tmp_path)
    about = worker.count(estimate=True)
    assert about.error
    assert abs(about.entries - 175) <= about.error
    worker.ask(Op.COMPACT)
    worker.settle()
    exact = worker.count(estimate=True)
    assert (exact.entries, exact.error) == (175, 0)
    assert exact.bytes


def test_what_is_no_count_is_refused(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=(b"m",)).serve()
    for body, client in (
        (encode(CountRequest()), CLIENT),
        (encode(CountRequest(b"b", b"a")), CLIENT),
        (encode(CountRequest(b"", b"a" * (BOUND_BYTES_MAX + 1))), CLIENT),
        (encode(CountRequest(b"", b"m")), 0),
        (b"\x80", CLIENT),
        (b"", CLIENT),
    ):
        sequence = worker.ask(Op.COUNT, [body], client=client)
        assert worker.status(sequence) is Status.INVALID, refusal(worker, sequence)
    assert worker.status(worker.ask(Op.COUNT, [])) is Status.INVALID
