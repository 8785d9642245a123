"""A scan of one range as a client makes it, page by page, against a worker that is driven by hand."""

from __future__ import annotations

from pathlib import Path

from shardstore.limits import KEY_BYTES_MAX, VALUE_BYTES_MAX
from shardstore.wire.columns import decode
from shardstore.wire.messages import Refusal, ScanRequest, encode
from shardstore.wire.messages import decode as decode_message
from shardstore.wire.wire_format import Flag, Op, Status
from tests.unit.worker_driver import CLIENT, WorkerDriver

Entries = list[tuple[bytes, bytes]]


class AtWorker:
    """A scan. `done`: the range has no more entries for it."""

    def __init__(self, worker: WorkerDriver, mode: str, reverse: bool = False, limit: int = 0) -> None:
        self.worker = worker
        self.mode = mode
        self.reverse = reverse
        self.limit = limit
        self.start = self.end = self.cursor = b""
        self.done = False
        self.client = CLIENT

    def request(self) -> list[bytes]:
        return [encode(ScanRequest(self.start, self.end, self.reverse, False, self.limit, self.mode, self.cursor))]

    def ask(self, **fields: int) -> int:
        return self.worker.ask(Op.SCAN, self.request(), client=self.client, **fields)

    def page(self, **fields: int) -> Entries:
        return self.take(self.ask(**fields))

    def take(self, sequence: int) -> Entries:
        header, frames = self.worker.answers(sequence)[-1]
        assert header.status == Status.OK, decode_message(Refusal, frames[1])
        resume, self.cursor = frames[3:]
        self.done = not resume
        if self.reverse:
            self.end = resume
        else:
            self.start = resume
        if not header.entries:
            return []
        keys = decode(frames[1], bool(header.flags & Flag.KEYS_FIXED), header.entries, 1, KEY_BYTES_MAX)
        values = decode(frames[2], bool(header.flags & Flag.VALUES_FIXED), header.entries, 0, VALUE_BYTES_MAX)
        entries = list(zip(keys, values, strict=True))
        return entries[::-1] if self.reverse else entries

    def rest(self) -> Entries:
        entries: Entries = []
        while not self.done:
            entries += self.page()
        return entries

    def end_scan(self) -> Status | None:
        return self.worker.status(self.worker.ask(Op.END_SCAN, self.request(), client=self.client))

    def why_not(self) -> str:
        """The reason why the next page is finally refused."""
        header, frames = self.worker.answer(self.ask())
        assert header.status == Status.SCAN_INVALIDATED
        return decode_message(Refusal, frames[1]).what


def ten_keys(root: Path) -> WorkerDriver:
    """A worker that holds k0 to k9, half of them in a table."""
    worker = WorkerDriver(root).serve()
    write(worker, {b"k%d" % number: b"old" for number in range(0, 10, 2)})
    worker.ask(Op.FLUSH)
    worker.settle()
    write(worker, {b"k%d" % number: b"old" for number in range(1, 10, 2)})
    return worker


def write(worker: WorkerDriver, pairs: dict[bytes, bytes]) -> Status | None:
    sequence = worker.put(pairs)
    worker.settle()
    return worker.status(sequence)


def statistics(worker: WorkerDriver) -> dict[str, int]:
    return worker.core._statistics(worker.now_ns)["scans"]


def open_scans_of(worker: WorkerDriver) -> int:
    return statistics(worker)["open"]
