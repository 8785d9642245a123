"""Requests that a worker refuses, and the texts of the refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from shardstore.access.rights import allows
from shardstore.client_role import ClientRole
from shardstore.limits import KEY_BYTES_MAX, REFUSAL_CHARACTERS_MAX
from shardstore.seams.effects import Received
from shardstore.wire.messages import ScanRequest, encode
from shardstore.wire.wire_format import REQUEST_FRAMES, ROUTED, Header, Op, Status, decode_header
from tests.unit.worker_driver import WorkerDriver, refusal

MEBIBYTE = 1 << 20


@pytest.mark.fault("C6", "C7")
def test_other_epoch_or_segment_is_stale_and_brings_the_routes(worker: WorkerDriver) -> None:
    for fields in ({"epoch": 0}, {"epoch": 2}, {"segment": 9}):
        sequence = worker.put({b"a": b"1"}, **fields)
        assert worker.status(sequence) is Status.STALE_ROUTE
        assert refusal(worker, sequence).routes == b"routes"
    assert not worker.syncs


def send(worker: WorkerDriver, op: Op, body: list[bytes], **fields: int) -> int:
    return worker.ask(op, body, **fields)


@pytest.mark.fault("C8")
@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (lambda w: w.put({b"a": b"1"}, client=0), "client id"),
        (lambda w: send(w, Op.PUT, [b"", b"1"], entries=1, flags=3), "0 bytes"),
        (lambda w: send(w, Op.PUT, [b"k" * 4097, b"1"], entries=1, flags=3), "4097 bytes"),
        (lambda w: send(w, Op.PUT, [b"abc", b"1"], entries=2, flags=3), "no 2 items"),
        (lambda w: send(w, Op.PUT, [b"\xc1", b"1"], entries=1, flags=2), "msgpack"),
        (lambda w: send(w, Op.PUT, [b"\x91\xa1a", b"1"], entries=1, flags=2), "max_str_len|byte strings"),
        (lambda w: send(w, Op.GET, [b""], entries=0, flags=1), "1 to 65536 entries"),
        (lambda w: send(w, Op.GET, [b"a"], entries=70_000, flags=1), "1 to 65536 entries"),
        (lambda w: send(w, Op.SCAN, [b"\x80"]), "fields of a ScanRequest"),
        (lambda w: send(w, Op.PUT, [b"a", b"v" * (8 * MEBIBYTE + 1)], entries=1, flags=3), "8388609 bytes"),
    ],
)
def test_bad_requests_are_refused_by_what_is_wrong(
    worker: WorkerDriver, ask: Callable[[WorkerDriver], int], what: str
) -> None:
    sequence = ask(worker)
    assert worker.status(sequence) is Status.INVALID
    assert any(part in refusal(worker, sequence).what for part in what.split("|"))
    assert not worker.syncs


def test_a_refusal_does_not_repeat_what_a_client_sent_at_length(worker: WorkerDriver) -> None:
    long = b"\0" * (KEY_BYTES_MAX + 2)
    for start, end in ((long, b""), (b"", long), (bytes(9 << 20), b"\0"), (b"\1" * 4_000, b"\0" * 4_000)):
        sequence = worker.ask(Op.SCAN, [encode(ScanRequest(start, end))])
        header, frames = worker.answer(sequence)
        assert header.status == Status.INVALID
        assert len(frames[1]) < 2 * REFUSAL_CHARACTERS_MAX


def test_a_scan_goes_on_behind_the_longest_key(worker: WorkerDriver) -> None:
    longest = b"k" * KEY_BYTES_MAX
    assert worker.scan(ScanRequest(longest + b"\0")) == ([], b"")
    assert worker.scan(ScanRequest(b"", longest + b"\0")) == ([], b"")


def test_key_outside_the_range_is_refused(tmp_path: Path) -> None:
    worker = WorkerDriver(tmp_path, boundaries=[b"m"]).serve()
    assert worker.status(worker.put({b"z": b"1"}, segment=1)) is Status.INVALID
    assert worker.status(worker.put({b"a": b"1"}, segment=2)) is Status.INVALID
    worker.put({b"m": b"1"}, segment=2)
    worker.settle()
    assert worker.get([b"m"], segment=2) == [b"1"]


def test_garbage_is_counted_and_ignored(worker: WorkerDriver) -> None:
    before = len(worker.sent)
    for frames in ([], [b""], [b"x" * 40], [Header(Op.GET, status=Status.OK).encode()]):
        worker.handle(Received("clients", b"peer", frames))
    assert len(worker.sent) == before


@pytest.mark.parametrize("frames", [[Header(Op.GET).encode()], [Header(99).encode(), b""]])
def test_a_malformed_request_is_answered_as_far_as_it_can_be_understood(
    worker: WorkerDriver, frames: list[bytes]
) -> None:
    worker.handle(Received("clients", b"peer", frames))
    answered = worker.sent[-1]
    assert (answered.link, answered.peer) == ("clients", b"peer")
    assert decode_header(answered.frames[0]).status == Status.INVALID


@pytest.mark.parametrize("item", [b"\x90", b"\x80"], ids=["lists", "maps"])
def test_a_document_of_a_million_nothings_is_refused_before_it_is_decoded(worker: WorkerDriver, item: bytes) -> None:
    document = b"\xdd" + (2**20).to_bytes(4, "big") + item * 2**20
    sequence = worker.ask(Op.SCAN, [document])
    assert worker.status(sequence) is Status.INVALID
    assert "allowed are" in refusal(worker, sequence).what


def test_a_column_of_columns_is_refused_at_its_second_array(worker: WorkerDriver) -> None:
    keys = b"\xdc\x00\xf0" + (b"\xdc\xff\xff" + b"\x90" * 0xFFFF) * 240
    sequence = worker.ask(Op.GET, [keys], entries=0xFFFF)
    assert "too many arrays" in refusal(worker, sequence).what


@pytest.mark.fault("R7")
def test_full_buffers_refuse_before_the_log(worker: WorkerDriver) -> None:
    sequence, written = 0, 0
    while worker.status(sequence) is not Status.BUSY:
        sequence = worker.put({b"k%08d" % written: b"v" * MEBIBYTE})
        written += 1
        worker.sync() if worker.syncs else None
        assert written < 64, "never refused"
    busy = refusal(worker, sequence)
    assert busy.used > busy.limit > 0
    assert not worker.syncs, "nothing was appended"
    worker.settle()  # drains make room
    assert worker.get([b"k%08d" % (written - 1)]) == [None]
    again = worker.put({b"k%08d" % (written - 1): b"v"})
    worker.settle()
    assert worker.status(again) is Status.OK


@pytest.mark.parametrize("role", list(ClientRole))
@pytest.mark.parametrize("op", sorted(ROUTED))
def test_a_role_is_compared_before_anything_else_is_looked_at(worker: WorkerDriver, op: int, role: ClientRole) -> None:
    frames = [Header(op, segment=1, client=7).encode(), *[b"no document"] * (REQUEST_FRAMES[op] - 1)]
    before = worker.core.service.writes.wal.lsn_appended if worker.core.service else None
    replies = worker.core.handle(Received("clients", b"peer", frames, role), worker.now_ns)
    is_denied = [decode_header(reply.frames[0]).status for reply in replies] == [Status.DENIED]
    assert is_denied is not allows(role, op)
    assert worker.core.service is not None
    assert worker.core.service.writes.wal.lsn_appended == before
