"""Any number of entries, chunk by chunk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import pytest

from shardstore import keys, values
from shardstore.errors import InvalidRequest
from shardstore.spaces.columns import CHUNK_BYTES, FIRST_CHUNK, encoded_keys, encoded_pairs, listed_keys
from shardstore.spaces.space_codec import SpaceCodec
from shardstore.values import Values

CODEC: SpaceCodec[int, Any] = SpaceCodec("numbers", b"\xff\xff\x01", keys.Int(), Values(values.Raw()))


class Read(Iterator[tuple[int, bytes]]):
    """An endless iterable that knows how much of it was read."""

    def __init__(self, value: bytes) -> None:
        self.count = 0
        self._value = value

    def __next__(self) -> tuple[int, bytes]:
        self.count += 1
        return self.count, self._value


def test_an_endless_iterable_is_read_in_chunks() -> None:
    assert list(islice(encoded_keys(CODEC, count(1)), 2)) == [CODEC.key(1), CODEC.key(2)]
    small, large = Read(b""), Read(bytes(CHUNK_BYTES // 8))
    for read in (small, large):
        assert len(list(islice(encoded_pairs(CODEC, read), FIRST_CHUNK + 1))) == FIRST_CHUNK + 1
    assert small.count > 1_000
    assert large.count <= FIRST_CHUNK + 8, "large values are encoded a few at a time"


def test_mappings_and_pairs() -> None:
    wanted = [(CODEC.key(1), b"one"), (CODEC.key(2), b"two")]
    assert list(encoded_pairs(CODEC, {1: b"one", 2: b"two"})) == wanted
    assert list(encoded_pairs(CODEC, iter([(1, b"one"), (2, b"two")]))) == wanted
    assert list(encoded_pairs(CODEC, {})) == []
    assert listed_keys(iter([2, 1])) == [2, 1]


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ((1.5, b""), "entry 600: Int() takes int, not float: 1.5; entries before it may have been applied"),
        ((1, "text"), "entry 600: Raw takes bytes, not str: 'text'; entries before it may have been applied"),
        ((1, b"", 3), "entry 600: a pair of key and value is wanted, not (1, b'', 3); entries before it"),
        (7, "entry 600: a pair of key and value is wanted, not 7; entries before it may have been applied"),
    ],
)
def test_the_first_bad_pair_is_named(bad: Any, text: str) -> None:
    good: list[Any] = [(number, b"v") for number in range(600)]
    done: deque[Any] = deque()
    with pytest.raises(InvalidRequest) as caught:
        done.extend(encoded_pairs(CODEC, [*good, bad, *good, None]))
    assert str(caught.value).startswith(text)
    assert len(done) == FIRST_CHUNK, "of the chunk with the bad pair nothing is passed on"


@pytest.mark.parametrize("wrong", [7, "text", b"bytes", None])
def test_what_is_no_iterable_is_refused(wrong: Any) -> None:
    for name, use in (("keys", encoded_keys), ("pairs", encoded_pairs)):
        with pytest.raises(InvalidRequest, match=f"{name} is an iterable, not {type(wrong).__name__}"):
            list(use(CODEC, wrong))
    with pytest.raises(InvalidRequest, match="keys is an iterable, not "):
        listed_keys(wrong)


def test_errors_of_the_iterable_itself_pass() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(encoded_keys(CODEC, failing()))
