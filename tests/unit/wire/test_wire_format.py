"""The header: its bytes, and the input that is no message."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.wire import wire_format
from shardstore.wire.wire_format import (
    HEADER_BYTES,
    REPLY_FRAMES,
    REQUEST_FRAMES,
    Flag,
    Header,
    MalformedMessage,
    Op,
    Status,
    decode_header,
    decode_reply,
    decode_request,
)

GOLDEN_FILE = Path(__file__).parents[2] / "golden" / "header-v6.bin"
GOLDEN_HEADERS = [
    Header(Op.HELLO),
    Header(
        Op.PUT,
        flags=Flag.KEYS_FIXED | Flag.VALUES_FIXED,
        entries=1_000,
        segment=42,
        epoch=7,
        duration_ms=30_000,
        client=0x0123_4567_89AB_CDEF,
        sequence=99,
    ),
    Header(Op.GET, flags=Flag.MORE, status=Status.OK, pressure=128, credits=16, entries=3, client=2**64 - 1),
    Header(Op.SCAN, status=Status.TOO_OLD, segment=2**32 - 1, epoch=2**32 - 1, sequence=2**64 - 1, store=2**64 - 1),
]

U8, U32, U64 = st.integers(0, 2**8 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
HEADERS = st.builds(Header, U8, U8, U8, U8, U8, U32, U32, U32, U32, U64, U64, U64)


def test_headers_are_the_bytes_of_the_golden_file() -> None:
    golden = GOLDEN_FILE.read_bytes()
    assert b"".join(header.encode() for header in GOLDEN_HEADERS) == golden
    frames = [golden[at : at + HEADER_BYTES] for at in range(0, len(golden), HEADER_BYTES)]
    assert [decode_header(frame) for frame in frames] == GOLDEN_HEADERS


def test_numbers_on_the_wire_are_frozen() -> None:
    assert {op.name: op.value for op in Op} == {
        "GET": 1,
        "PUT": 2,
        "DELETE": 3,
        "SCAN": 4,
        "FLUSH": 5,
        "COMPACT": 6,
        "STATS": 7,
        "HELLO": 8,
        "ROUTES": 9,
        "END_SCAN": 10,
        "COMPARE_AND_SET": 11,
        "INCREMENT": 12,
        "OUTCOME": 13,
        "ADMIN": 14,
        "REGISTER": 16,
        "READY": 17,
        "HEARTBEAT": 18,
        "CHANGE": 19,
        "PROGRESS": 20,
        "RETIRE": 21,
        "LOAD": 22,
        "BATCH": 23,
        "TAKE": 24,
        "DELETE_RANGE": 25,
        "COUNT": 26,
        "PUT_UNTIL": 27,
        "EXPIRE": 28,
        "TTL": 29,
    }
    assert [status.name for status in Status] == [
        *("NONE", "OK", "BUSY", "STALE_ROUTE", "CLOSED", "INVALID", "FAILED", "UNAVAILABLE", "UNKNOWN", "TOO_OLD"),
        "SCAN_INVALIDATED",
        "OTHER_STORE",
        "DENIED",
    ]
    assert {name: bit for name, bit in vars(Flag).items() if name.isupper()} == {
        "KEYS_FIXED": 1,
        "VALUES_FIXED": 2,
        "PRESENCE": 4,
        "MORE": 8,
        "RETRY": 16,
        "NO_WAIT": 32,
        "OF_PARENT": 64,
        "IN_MEMORY": 128,
    }


def test_every_operation_has_its_frames() -> None:
    assert set(REQUEST_FRAMES) == set(REPLY_FRAMES) == set(Op)


@given(HEADERS)
def test_header_comes_back(header: Header) -> None:
    frame = header.encode()
    assert len(frame) == HEADER_BYTES == 48
    assert decode_header(frame) == header


@pytest.mark.parametrize(
    "frame",
    [b"", b"\0" * 48, Header(Op.GET).encode()[:-1], Header(Op.GET).encode() + b"\0", b"sS\1" + b"\0" * 45],
)
def test_no_header_is_refused(frame: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_header(frame)


@given(st.lists(st.one_of(st.binary(max_size=50), HEADERS.map(Header.encode)), max_size=5))
def test_arbitrary_frames_are_a_message_or_refused(frames: list[bytes]) -> None:
    for decode, expected in ((decode_request, REQUEST_FRAMES), (decode_reply, REPLY_FRAMES)):
        try:
            header = decode(frames)
        except MalformedMessage:
            continue
        answered = header.status not in (Status.NONE, Status.OK)
        assert len(frames) == (wire_format.FRAMES_OF_REFUSAL if answered else expected[Op(header.op)])
        assert (header.status == Status.NONE) == (decode is decode_request)


@pytest.mark.parametrize("op", Op)
def test_a_message_has_exactly_the_frames_of_its_operation(op: Op) -> None:
    request, reply = Header(op).encode(), Header(op, status=Status.OK).encode()
    refusal = Header(op, status=Status.BUSY).encode()
    assert decode_request([request] + [b""] * (REQUEST_FRAMES[op] - 1)).op == op
    assert decode_reply([reply] + [b""] * (REPLY_FRAMES[op] - 1)).op == op
    assert decode_reply([refusal, b""]).status == Status.BUSY
    for wrong in ([request] + [b""] * REQUEST_FRAMES[op], [reply], [request, b"", b"", b"", b"", b""]):
        with pytest.raises(MalformedMessage):
            decode_request(wrong)
    for wrong in ([reply] + [b""] * REPLY_FRAMES[op], [request], [refusal], [refusal, b"", b""]):
        with pytest.raises(MalformedMessage):
            decode_reply(wrong)


@given(HEADERS)
def test_a_reply_keeps_what_names_the_request(header: Header) -> None:
    reply = header.reply(Status.OK, entries=5)
    kept = ("op", "segment", "epoch", "client", "sequence")
    assert [getattr(reply, name) for name in kept] == [getattr(header, name) for name in kept]
    assert (reply.status, reply.entries, reply.flags, reply.duration_ms) == (Status.OK, 5, 0, 0)
