"""The cost of decoding bytes of a stranger is bounded by their number."""

from __future__ import annotations

import struct
import tracemalloc
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardstore.identifiers import Buffer
from shardstore.limits import CONTAINERS_MAX, KIB, MIB
from shardstore.wire import columns, messages, wire_format
from shardstore.wire.admin_messages import AdminReply, AdminRequest
from shardstore.wire.bounded_msgpack import FLAWS, unpack, unpack_array
from shardstore.wire.columns import InvalidColumn
from shardstore.wire.load_report import LoadReport
from shardstore.wire.messages import MalformedMessage
from shardstore.wire.topology import OrderMessage, Progress, Retire

KINDS = [
    messages.Refusal,
    messages.ScanRequest,
    messages.OutcomeQuestion,
    messages.OutcomeReply,
    messages.Hello,
    messages.Welcome,
    messages.Routes,
    messages.Register,
    messages.Assignments,
    messages.Ready,
    messages.Heartbeat,
    messages.Lease,
    messages.Statistics,
    AdminRequest,
    AdminReply,
    LoadReport,
    OrderMessage,
    Progress,
    Retire,
]
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**64 - 1) | st.binary(max_size=9) | st.text(max_size=9) | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9) | st.integers(0, 99), inner),
    max_leaves=30,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """The bytes of a document, with some replaced, removed or doubled."""
    frame = bytearray(msgpack.packb(draw(PLAIN)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(frame)))
        frame[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=6))
    return bytes(frame)


def memory_of_decoding(decode: Any, *arguments: Any) -> int:
    """The maximum memory held by a decoder, which may refuse its input."""
    tracemalloc.start()
    try:
        with suppress(MalformedMessage, InvalidColumn, *FLAWS):
            decode(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@given(mutated() | st.binary(max_size=200))
def test_no_decoder_raises_anything_but_its_own_error(frame: bytes) -> None:
    for kind in KINDS:
        with suppress(MalformedMessage):
            messages.decode(kind, frame)
    with suppress(MalformedMessage):
        wire_format.decode_message([frame, frame])
    for count in (1, 2, 3, 70_000):
        with suppress(InvalidColumn):
            columns.decode(frame, False, count, 0, 100, nullable=True)


@given(mutated())
@settings(max_examples=30)
def test_a_mutated_document_takes_a_bounded_multiple_of_its_bytes(frame: bytes) -> None:
    for kind in (messages.ScanRequest, Progress):
        assert memory_of_decoding(messages.decode, kind, frame) < 64 * KIB + 200 * len(frame)


HOSTILE = {
    "lists": b"\xdd" + (8 * MIB).to_bytes(4, "big") + b"\x90" * (8 * MIB),
    "lists of lists": b"\xdc\x00\x80" + (b"\xdc\xff\xff" + b"\x90" * 0xFFFF) * 128,
    "maps": b"\xdd" + (8 * MIB).to_bytes(4, "big") + b"\x80" * (8 * MIB),
    "maps of maps": b"\xdf\x00\x03\x00\x00" + b"".join(b"\xce%b\x80" % struct.pack(">I", n) for n in range(0x30000)),
    "announced": b"\xdd\xff\xff\xff\xff",
    "announced map": b"\xdf\xff\xff\xff\xff",
    "announced bytes": b"\xc6\xff\xff\xff\xff",
    "announced text": b"\xdb\xff\xff\xff\xff",
    "deep": b"\x91" * MIB,
    "deep maps": b"\x81\x00" * MIB,
    "deep and wide": b"\xdc\xff\xff" * 3_000,
}


@pytest.mark.fault("M5")
@pytest.mark.parametrize("frame", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("kind", [*messages._BYTES_MAX, messages.Statistics], ids=lambda kind: kind.__name__)
def test_hostile_documents_are_refused_within_bounds(kind: type, frame: bytes) -> None:
    with pytest.raises(MalformedMessage):
        messages.decode(kind, frame)
    assert memory_of_decoding(messages.decode, kind, frame[:MIB]) < 64 * MIB


@pytest.mark.parametrize("frame", HOSTILE.values(), ids=HOSTILE)
def test_hostile_columns_are_refused_within_bounds(frame: bytes) -> None:
    with pytest.raises(InvalidColumn):
        columns.decode(frame, False, 0xFFFF, 1, 100)


def decoded(frame: Buffer) -> Any:
    return unpack(frame, len(frame))


def test_keys_of_one_hash_make_no_map() -> None:
    keys = [float(base) * 2.0**exponent for base in range(1, 99) for exponent in range(-900, 900, 61)]
    packed = (
        b"\xdf" + len(keys).to_bytes(4, "big") + b"".join(b"\xcb" + struct.pack(">d", key) + b"\x01" for key in keys)
    )
    with pytest.raises(ValueError, match="the keys of a map are integers or strings"):
        decoded(packed)


def test_a_key_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        decoded(b"\x82\x01\x02\x01\x03")


def test_as_many_lists_and_maps_as_the_largest_document_may_have_come_back() -> None:
    document = {"rows": [[b"", number] for number in range(CONTAINERS_MAX - 2)]}
    assert decoded(msgpack.packb(document)) == document
    document["rows"].append([])
    with pytest.raises(ValueError, match=r"too many arrays|exceeds max"):
        decoded(msgpack.packb(document))


def test_a_column_holds_no_other() -> None:
    assert unpack_array(b"\x92\xc4\x01a\xc0", 2, 1) == [b"a", None]
    with pytest.raises(ValueError, match="too many arrays"):
        unpack_array(b"\x92\x90\x90", 2, 1)
