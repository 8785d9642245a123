"""Requests of BATCH, TAKE, and about the end of values: what a client sends, and that a worker understands it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shardstore.client.calls import operations
from shardstore.client.calls.calls import AtomicBatch, Call, Take
from shardstore.identifiers import Lasting
from shardstore.limits import SECOND_NS
from shardstore.wire.wire_format import Op, Status, decode_header
from tests.unit.client.session_driver import SessionDriver
from tests.unit.fake_cluster import FakeCluster, Frames
from tests.unit.worker_driver import WorkerDriver

GOLDEN = Path(__file__).parent / "requests-v6.txt"
CALLS: dict[str, Callable[[], Call]] = {
    "batch": lambda: AtomicBatch(SECOND_NS, [b"a", b"bb"], [b"1", None], [b"c", b"d"], [b"2", None]),
    "batch-fixed": lambda: AtomicBatch(SECOND_NS, [b"aa", b"bb"], [b"1", b"2"], [], []),
    "take": lambda: Take(SECOND_NS, b"a", b"b", True),
    "put-until": lambda: operations.put(b"k", b"value", 1, ttl=2.5),
    "put-many-until": lambda: next(operations.put_many([(b"k", b"value"), (b"l", b"")], 1, expires_at=2_000_000_000)),
    "compare-and-set-until": lambda: operations.compare_and_set(b"k", None, b"value", 1, ttl=1),
    "expire": lambda: operations.expire(b"k", 1, 9, None),
    "persist": lambda: operations.persist(b"k", 1),
    "ttl": lambda: operations.ttl(b"k", 1),
    "batch-until": lambda: AtomicBatch(SECOND_NS, [b"a", b"b"], [Lasting(1, b"1"), None], [], []),
    "batch-of-conditions": lambda: AtomicBatch(SECOND_NS, [], [], [b"c"], [None]),
}


def frames_of(call: Call) -> Frames:
    """The frames with which a new client sends the call to the only segment of a store."""
    driver = SessionDriver(FakeCluster((), workers=1))
    driver.submit(call)
    [(_, frames)] = driver.wire
    return frames


@pytest.mark.parametrize("name", CALLS)
def test_a_request_is_its_line_of_the_golden_file(name: str) -> None:
    lines = dict(line.split(" ", 1) for line in GOLDEN.read_text().splitlines())
    assert " ".join(bytes(frame).hex() or "-" for frame in frames_of(CALLS[name]())) == lines[name]


@pytest.mark.parametrize("name", CALLS)
def test_a_worker_understands_the_request(tmp_path: Path, name: str) -> None:
    worker = WorkerDriver(tmp_path).serve()
    frame, *body = frames_of(CALLS[name]())
    header = decode_header(frame)
    sequence = worker.ask(Op(header.op), body, flags=header.flags, entries=header.entries)
    worker.settle()
    assert worker.status(sequence) is Status.OK
