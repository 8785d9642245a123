"""Version 1 of typed keys and of the values of each codec, which never changes: keys and values of users are stored so.

A line of the file: the type, the key or value as Python writes it, and its bytes. A new line may be added, and no line
may be changed.
"""

from __future__ import annotations

import datetime
import math
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shardstore import keys, values

HERE = Path(__file__).parent
NOON = datetime.datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=datetime.UTC)
SIZES = (1, 2, 3, 7, 8, 9, 255, 256, 300)
ELEMENTS: list[Any] = [
    *(None, b"", b"\0", b"a\0\xff\xffb", "", "\0", "a\0b", "\xe4", "\U0001f600"),
    *(0, *(sign * number for size in SIZES for number in ((1 << 8 * size) - 1, 1 << 8 * size) for sign in (1, -1))),
    *((1 << 63) - 1, 1 << 63, -(1 << 63), -(1 << 63) - 1),
    *(0.0, -0.0, 1.5, -1.5, 5e-324, 1e308, math.inf, -math.inf, math.nan, False, True),
    *(uuid.UUID(int=0), uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")),
    *(datetime.date.min, datetime.date(1970, 1, 1), datetime.date.max),
    *(NOON, NOON.astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=30)))),
    *(datetime.datetime.min.replace(tzinfo=datetime.UTC), datetime.datetime.max.replace(tzinfo=datetime.UTC)),
    *((), (None,), ((),), (None, (None, "a", b"\0"), 5)),
]
KEYS: list[tuple[keys.KeyType[Any], list[Any]]] = [
    (keys.Bytes(), [b"", b"a\0\xff"]),
    (keys.Str(), ["", "a\0", "\xe4\U0001f600"]),
    (keys.Int(), [0, -1, 1, 1 << 64, -(1 << 64)]),
    (keys.Uuid(), [uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")]),
    (keys.AnyTuple(), [(), *((element,) for element in ELEMENTS), (1, "a", None)]),
    (keys.Tuple(str, int), [("", 0), ("ada", 7), ("ada", -7)]),
    (keys.Tuple(str | None, keys.Tuple(int, bytes)), [(None, (1, b"\0")), ("a", (-1, b""))]),
]
PLAIN = [None, True, 5, -1.5, "\xe4", [1, []], {"b": 1, "a": {}}]
VALUES: list[tuple[values.ValueCodec[Any], list[Any]]] = [
    (values.Raw(), [b"", b"a\0"]),
    (values.Str(), ["", "\xe4\0"]),
    (values.Int(), [0, -17, 1 << 70]),
    (values.Float(), [0.0, -0.0, 1.5, math.inf]),
    (values.Json(), PLAIN),
    (values.MsgPack(), [*PLAIN, b"a", {1: None}]),
    (values.Pickle(), [*PLAIN[:4], (1, 2)]),
]
COMPRESSED = {
    "Raw/1+zstd": "010000008028b52ffd20807d000040616263646566676801007569e102",
    "Raw/1+lz4": "02000000808f6162636465666768080060506465666768",
}
"""Another version of a library may compress in another way, and reads this."""


def lines_of_keys() -> Iterator[str]:
    for key_type, some in KEYS:
        for key in some:
            yield f"{key_type}\t{ascii_of(key)}\t{key_type.encode(key).hex()}"


def lines_of_values() -> Iterator[str]:
    for codec, some in VALUES:
        stored = values.Values(codec)
        for value in some:
            yield f"{stored}\t{value!a}\t{stored.encode(value).hex()}"


def ascii_of(key: Any) -> str:
    """The key as Python writes it, but large ints as powers of two, as nobody reads them."""
    if isinstance(key, tuple) and len(key) == 1 and isinstance(key[0], int) and key[0].bit_length() > 80:
        return f"({'-' * (key[0] < 0)}{hex(abs(key[0]))[:4]}... of {key[0].bit_length()} bits,)"
    return ascii(key)


@pytest.mark.parametrize(("file", "lines"), [("keys-v1.txt", lines_of_keys), ("values-v1.txt", lines_of_values)])
def test_the_bytes_are_those_of_the_golden_file(file: str, lines: Any) -> None:
    assert list(lines()) == (HERE / file).read_text().splitlines()


def test_the_golden_keys_are_read() -> None:
    golden = [line.split("\t") for line in (HERE / "keys-v1.txt").read_text().splitlines()]
    for description, written, data in golden:
        key_type = keys.from_description(description)
        assert key_type.encode(key_type.decode(bytes.fromhex(data))).hex() == data
        assert description in {str(each) for each, _ in KEYS}, written


def test_the_golden_values_are_read() -> None:
    golden = [line.split("\t") for line in (HERE / "values-v1.txt").read_text().splitlines()]
    for description, written, data in golden:
        stored = values.from_description(description, [values.Pickle()])
        assert ascii(stored.decode(bytes.fromhex(data))) == written


@pytest.mark.parametrize("description", COMPRESSED)
def test_compressed_values_of_the_first_version_are_read(description: str) -> None:
    assert values.from_description(description).decode(bytes.fromhex(COMPRESSED[description])) == b"abcdefgh" * 16
