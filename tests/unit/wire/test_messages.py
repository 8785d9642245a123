"""Documents between processes: each is decoded as it was encoded, and anything else is refused by name."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.limits import KEY_BYTES_MAX, LOAD_CUTS_MAX, LOAD_KEYS_MAX, LOAD_RANGES_MAX, REFUSAL_CHARACTERS_MAX
from shardstore.wire import messages
from shardstore.wire.load_report import LoadReport, RangeReport
from shardstore.wire.messages import (
    Assignments,
    Heartbeat,
    Hello,
    Lease,
    Ready,
    Refusal,
    Statistics,
    Welcome,
    decode,
    encode,
)
from shardstore.wire.wire_format import MalformedMessage
from tests.golden.documents import DOCUMENTS

EXAMPLES = [
    *DOCUMENTS,
    Refusal("overlay bytes", used=2**63, limit=2**64 - 1),
    Assignments([], b"", 0, 1),
    Lease(2**40, 9),
    LoadReport(
        1, [RangeReport(7, 100, 90, 3, 2**40, 1, 2, 3, 4, 5, 6, [b"a"], b"z", [b"m"]), RangeReport(8, 0, 0, 0, 0)]
    ),
    LoadReport(0, []),
    Statistics({"requests": {"get": 1}, "workers": {0: {"up": True}}}),
]
KINDS = sorted({type(example) for example in EXAMPLES}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: type(document).__name__)
def test_document_comes_back(document: Any) -> None:
    assert decode(type(document), encode(document)) == document
    assert decode(type(document), memoryview(encode(document))) == document


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Heartbeat, [1, 2]),
        (Heartbeat, {"worker": 1}),
        (Heartbeat, {"worker": 1, "pressure": 2, "more": 3}),
        (Heartbeat, {"worker": True, "pressure": 2}),
        (Heartbeat, {"worker": 1.0, "pressure": 2}),
        (Heartbeat, {"worker": -1, "pressure": 2}),
        (Hello, {"library": b"bytes"}),
        (Ready, {"serving": {"1": 1}}),
        (Ready, {"serving": {1: "1"}}),
        (Ready, {"serving": [1]}),
        (Assignments, {"ranges": {}, "routes": b""}),
        (Assignments, {"ranges": [1], "routes": b""}),
        (Assignments, {"ranges": [{"segment": 1}], "routes": b""}),
        (Welcome, {"client": 1, "store": "s", "routes": "text"}),
    ],
)
def test_a_document_with_other_fields_is_refused(kind: type, values: Any) -> None:
    with pytest.raises(MalformedMessage, match=kind.__name__.rstrip("s")):
        decode(kind, msgpack.packb(values))


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        b"\x80\x00",  # trailing bytes after the map
        b"\x81\x90\x01",  # a key of a type that is not allowed
        b"\x91" * 5_000,  # nested deeply
        b"\xdf\xff\xff\xff\xff",  # four thousand million fields
        b"\x81\xa6worker\xd4\x01\x00",  # an extension type
        b"\x81\xa1\xff\x01",  # not UTF-8
    ],
)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_hostile_bytes_are_refused(kind: type, frame: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode(kind, frame)


def test_a_long_refusal_is_cut_wherever_it_is_made() -> None:
    assert messages.Refusal("w" * 5_000) == messages.Refusal("w" * REFUSAL_CHARACTERS_MAX)
    assert len(messages.Refusal("w" * 5_000).what) == REFUSAL_CHARACTERS_MAX


@pytest.mark.parametrize(
    "values",
    [
        {"keys": [b"k"] * (LOAD_KEYS_MAX + 1)},
        {"keys": [b"k" * (KEY_BYTES_MAX + 1)]},
        {"last": b"k" * (KEY_BYTES_MAX + 1)},
        {"cuts": [b"k"] * (LOAD_CUTS_MAX + 1)},
        {"cuts": [b"k" * (KEY_BYTES_MAX + 1)]},
        {"segment": -1},
        {"keys": b"k"},
    ],
)
def test_a_load_report_beyond_its_bounds_is_refused(values: dict[str, Any]) -> None:
    of_range = messages.to_plain(RangeReport(1, 0, 0, 0, 0)) | values
    with pytest.raises(MalformedMessage, match="RangeReport"):
        decode(LoadReport, msgpack.packb({"worker": 0, "ranges": [of_range]}))


def test_a_load_report_of_too_many_ranges_is_refused() -> None:
    ranges = [messages.to_plain(RangeReport(1, 0, 0, 0, 0))] * (LOAD_RANGES_MAX + 1)
    with pytest.raises(MalformedMessage, match="LoadReport"):
        decode(LoadReport, msgpack.packb({"worker": 0, "ranges": ranges}))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.sampled_from(EXAMPLES), st.data())
def test_a_changed_field_is_refused_or_of_the_right_kind(document: Any, data: st.DataObject) -> None:
    values = messages.to_plain(document)
    before = dict(values)
    name = data.draw(st.sampled_from(sorted(values)))
    values[name] = data.draw(PLAIN)
    try:
        decoded = decode(type(document), msgpack.packb(values))
    except MalformedMessage:
        return
    plain = messages.to_plain(decoded)  # by the names in messages: a field may have another name in the document
    assert plain == values
    assert type(plain[name]) is type(before[name])


@given(st.sampled_from(KINDS), st.binary(max_size=60))
def test_arbitrary_bytes_are_a_document_or_refused(kind: type, frame: bytes) -> None:
    try:
        decoded = decode(kind, frame)
    except MalformedMessage:
        return
    assert type(decoded) is kind
