"""The bytes of tuple keys: those that the specification gives as examples, the table of codes, and what is not read."""

from __future__ import annotations

import datetime
import math
import uuid
from pathlib import Path
from typing import Any

import pytest

from shardstore import UndecodableKey, keys
from shardstore.keys.elements.codes import TABLE, Code

ANY = keys.AnyTuple()
PAGE = Path(__file__).parents[4] / "docs" / "types.md"
UTC = datetime.UTC


@pytest.mark.parametrize(
    ("key", "encoded"),
    [
        ((b"foo\x00bar",), b"\x01foo\x00\xffbar\x00"),
        (("F\u00d4O\u0000bar",), b"\x02F\xc3\x94O\x00\xffbar\x00"),
        (((b"foo\x00bar", None, ()),), b"\x05\x01foo\x00\xffbar\x00\x00\xff\x05\x00\x00"),
        (((),), b"\x05\x00"),
        (((None,),), b"\x05\x00\xff\x00"),
        ((-5551212,), b"\x11\xabK\x93"),
        ((-1,), b"\x13\xfe"),
        ((0,), b"\x14"),
        ((None,), b"\x00"),
    ],
)
def test_the_examples_of_the_specification(key: Any, encoded: bytes) -> None:
    assert ANY.encode(key) == encoded
    assert ANY.decode(encoded) == key


def test_a_float_is_transformed_as_in_the_example_of_the_specification() -> None:
    """The example has 32 bits: -42.0 is 3d d7 ff ff. All bits of a negative number are flipped."""
    assert ANY.encode((-42.0,)) == b"\x21" + bytes(0xFF - octet for octet in b"\xc0\x45\x00\x00\x00\x00\x00\x00")
    assert ANY.encode((42.0,)) == b"\x21\xc0\x45\x00\x00\x00\x00\x00\x00"


def row(code: Code) -> str:
    codes = f"0x{code.first:02x}" + f" to 0x{code.last:02x}" * (code.last > code.first)
    return f"| {codes} | {code.type_name} | {code.follows} |"


def test_the_page_shows_the_table_of_codes() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| 0x")]
    assert rows == list(map(row, TABLE))


def test_codes_ascend_and_leave_the_escape_alone() -> None:
    codes = [code for each in TABLE for code in (each.first, *[each.last] * (each.last > each.first))]
    assert codes == sorted(set(codes))
    assert codes[-1] < 0xFF


ONE_OF_EACH = [
    None,
    b"bytes",
    "str",
    ("tuple",),
    *(-(1 << 8 * 300), -(1 << 8 * 100), -(1 << 60), -1, 0, 1, 1 << 60, 1 << 64, 1 << 8 * 100, 1 << 8 * 300),
    *(-math.inf, -1.5, 0.0, 1.5, math.inf, math.nan),
    False,
    True,
    uuid.UUID(int=5),
    datetime.date(2000, 1, 1),
    datetime.datetime(2000, 1, 1, tzinfo=UTC),
]


def test_types_sort_as_in_the_table_and_each_has_its_code() -> None:
    encoded = [ANY.encode((value,)) for value in ONE_OF_EACH]
    assert encoded == sorted(encoded)
    names = ["None" if value is None else type(value).__name__ for value in ONE_OF_EACH]
    rows = [next(each for each in TABLE if each.first <= data[0] <= each.last) for data in encoded]
    assert [each.type_name for each in rows] == names
    assert set(rows) == set(TABLE), "each row has an example"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (math.nan, -math.nan),
        (
            datetime.datetime(2000, 1, 1, 12, tzinfo=UTC),
            datetime.datetime(2000, 1, 1, 14, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        ),
    ],
)
def test_what_is_equal_is_one_key(one: Any, other: Any) -> None:
    assert ANY.encode((one,)) == ANY.encode((other,))
    assert ANY.encode_many([(one,), (other,)] * 20) == [ANY.encode((one,))] * 40


def test_equal_numbers_of_several_types_are_several_keys() -> None:
    assert len({ANY.encode((1,)), ANY.encode((1.0,)), ANY.encode((True,))}) == 3


def test_a_datetime_is_read_back_in_utc() -> None:
    (read,) = ANY.decode(ANY.encode((datetime.datetime(2000, 1, 1, 1, tzinfo=datetime.timezone.max),)))
    assert read.tzinfo is UTC
    assert read == datetime.datetime(2000, 1, 1, 1, tzinfo=datetime.timezone.max)


@pytest.mark.parametrize(
    "moment", [datetime.datetime.min.replace(tzinfo=UTC), datetime.datetime.max.replace(tzinfo=UTC)]
)
def test_the_first_and_the_last_moment_are_keys(moment: datetime.datetime) -> None:
    assert ANY.decode(ANY.encode((moment,))) == (moment,)
    assert ANY.decode(ANY.encode((moment.date(),))) == (moment.date(),)


NOT_READ = [
    (b"\x15\x00", "no int as encoding writes it at byte 0"),
    (b"\x16\x00\x01", "no int as encoding writes it"),
    (b"\x13\xff", "no int as encoding writes it"),
    (b"\x15", "no int as encoding writes it"),
    (b"\x1d\x08" + b"\x01" * 8, "no int as encoding writes it"),
    (b"\x1e\x00\xff" + b"\x01" * 255, "no int as encoding writes it"),
    (b"\x0b\xf7" + b"\xfe" * 8, "no int as encoding writes it"),
    (b"\x1d", "no int as encoding writes it"),
    (b"\x20\x3d\xd7\xff\xff", "nothing that may stand at byte 0"),
    (b"\x21\x7f\xff\xff\xff\xff\xff\xff\xff", "no float as encoding writes it at byte 0"),  # -0.0
    (b"\x21\xff\xf8\x00\x00\x00\x00\x00\x01", "no float as encoding writes it"),  # another NaN
    (b"\x21\x00", "no float at byte 0"),
    (b"\x25", "nothing that may stand at byte 0"),
    (b"\x26\x33" + bytes(12), "nothing that may stand at byte 1"),
    (b"\x01abc", "the bytes at byte 0 does not end"),
    (b"\x02abc\x00\xff", "the str at byte 0 does not end"),
    (b"\x02\xff\x00", "no UTF-8: invalid start byte"),
    (b"\x02\xed\xa0\x80\x00", "no UTF-8: invalid continuation byte"),
    (b"\x05\x01a\x00", "a tuple does not end"),
    (b"\x05" * 40 + b"\x00" * 40, "nothing that may stand at byte 32"),
    (b"\x30" + bytes(15), "no UUID at byte 0"),
    (b"\x40\x00\x00\x00", "no day of the years 1 to 9999 at byte 0"),
    (b"\x40\xff\xff\xff", "no day of the years 1 to 9999 at byte 0"),
    (b"\x41" + b"\x7f" * 8, "no instant of the years 1 to 9999 at byte 0"),
]


@pytest.mark.parametrize(("data", "what"), NOT_READ, ids=[data.hex()[:16] for data, _ in NOT_READ])
def test_what_encoding_does_not_write_is_not_read(data: bytes, what: str) -> None:
    with pytest.raises(UndecodableKey) as caught:
        ANY.decode(data)
    assert what in str(caught.value)
    with pytest.raises(UndecodableKey) as many:
        ANY.decode_many([*[ANY.encode((1, "a"))] * 20, data])
    assert vars(many.value) == vars(caught.value)
    with pytest.raises(UndecodableKey):
        ANY.decode_many([data] * 20)
