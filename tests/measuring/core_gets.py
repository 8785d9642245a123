"""Single reads by the core of a worker, without messages: python -m tests.measuring.core_gets DATA ENTRIES READS.

Fills a worker in the empty directory DATA with so many entries, and reads one key after the other: from the overlay,
then from tables. What is timed is from a received request to its reply, frames in and frames out. Prints JSON: for
each of the two the nanoseconds of every read, and the CPU seconds of all. Run by the benchmark `get_core`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import TypedDict

from shardstore.seams.effects import Effect, Received, Send
from shardstore.wire.wire_format import Flag, Header, Op, Status, decode_reply
from tests.unit.worker_driver import CLIENT, WorkerDriver

BATCH = 1_000
PEER = b"peer"
MEMORY = 1 << 30
WARM_UP = 100
SCRAMBLE = 0x9E3779B97F4A7C15


class Measured(TypedDict):
    """The time of each read, and the CPU seconds of all."""

    times_ns: list[int]
    cpu_seconds: float


def main() -> None:
    """Measure the reads and print them."""
    data, entries, reads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    worker = WorkerDriver(Path(data), memory=MEMORY).serve()
    keys = [b"%016x" % (number * SCRAMBLE % 2**64) for number in range(entries)]
    for at in range(0, entries, BATCH):
        worker.put({key: value_of(key) for key in keys[at : at + BATCH]})
        worker.settle()
    found = {"overlay": read_each(worker, list(islice(cycle(keys), reads)))}
    assert worker.range_statistics()["overlay_entries"] == entries
    worker.ask(Op.FLUSH)
    worker.settle()
    assert worker.range_statistics()["overlay_entries"] == 0
    found["tables"] = read_each(worker, list(islice(cycle(keys), reads)))
    json.dump(found, sys.stdout)


def value_of(key: bytes) -> bytes:
    """The value of a key, of 24 bytes."""
    return (key + key)[:24]


def read_each(worker: WorkerDriver, keys: Sequence[bytes]) -> Measured:
    """Read the keys one after the other, and check every value."""
    requests = [Received("clients", PEER, frames_of(worker, number, key)) for number, key in enumerate(keys, 1)]
    handle, now_ns = worker.core.handle, worker.now_ns
    answers: list[list[Effect]] = [handle(request, now_ns) for request in requests[:WARM_UP]]
    answers.clear()
    times_ns = []
    cpu_seconds = time.process_time()
    for request in requests:
        started = time.perf_counter_ns()
        answers.append(handle(request, now_ns))
        times_ns.append(time.perf_counter_ns() - started)
    cpu_seconds = time.process_time() - cpu_seconds
    assert [value_in(effects) for effects in answers] == list(map(value_of, keys))
    return {"times_ns": times_ns, "cpu_seconds": cpu_seconds}


def frames_of(worker: WorkerDriver, sequence: int, key: bytes) -> list[bytes]:
    """The frames of a request for one key."""
    header = Header(
        Op.GET,
        flags=Flag.KEYS_FIXED,
        segment=1,
        epoch=worker.epoch,
        client=CLIENT,
        sequence=sequence,
        duration_ms=1_000,
        entries=1,
    )
    return [header.encode(), key]


def value_in(effects: Sequence[Effect]) -> bytes:
    """The value in the reply to a request for one key."""
    (send,) = (effect for effect in effects if isinstance(effect, Send))
    frames = [bytes(frame) for frame in send.frames]
    header = decode_reply(frames)
    assert header.status == Status.OK
    assert header.flags & Flag.VALUES_FIXED
    return frames[1]


if __name__ == "__main__":
    main()
