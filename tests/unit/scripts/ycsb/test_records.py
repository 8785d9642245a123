"""Keys and values of YCSB: keys are spread evenly, and wrong values are detected."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from ycsb.keys import KEY_BYTES, hash_in, hashes_of, keys_of
from ycsb.values import VALUE_BYTES_MIN, Values

HASHES = st.integers(0, 2**64 - 1)
VERSIONS = st.integers(0, 2**64 - 1)


def fnv_1a(number: int) -> int:
    """FNV-1a as its authors define it."""
    value = 0xCBF29CE484222325
    for octet in number.to_bytes(8, "little"):
        value = (value ^ octet) * 0x100000001B3 % 2**64
    return value


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1))
def test_hashes_are_fnv_1a(numbers: list[int]) -> None:
    assert hashes_of(np.array(numbers)).tolist() == list(map(fnv_1a, numbers))


@given(st.lists(HASHES, min_size=1))
def test_keys_show_their_hash_in_a_fixed_length(hashes: list[int]) -> None:
    keys = keys_of(np.array(hashes, dtype=np.uint64))
    assert keys == [b"user%020d" % each for each in hashes]
    assert {len(key) for key in keys} == {KEY_BYTES}
    assert list(map(hash_in, keys)) == hashes


@given(HASHES, VERSIONS, st.integers(VALUE_BYTES_MIN, 300))
def test_a_value_is_right_for_its_key_only(key_hash: int, version: int, value_bytes: int) -> None:
    values = Values(value_bytes)
    value = values.make(key_hash, version)
    own, other = keys_of(np.array([key_hash, key_hash ^ 1], dtype=np.uint64))
    assert len(value) == value_bytes
    assert values.is_right(own, value)
    assert not values.is_right(other, value)


@given(HASHES, VERSIONS, st.integers(0, 99), st.integers(1, 255))
def test_a_changed_byte_is_seen(key_hash: int, version: int, at: int, change: int) -> None:
    values = Values(100)
    value = bytearray(values.make(key_hash, version))
    value[at] ^= change
    assert not values.is_right(keys_of(np.array([key_hash], dtype=np.uint64))[0], bytes(value))


@given(HASHES, st.integers(0, 2**40), st.integers(1, 99))
def test_a_mix_of_two_versions_is_seen(key_hash: int, version: int, cut: int) -> None:
    values = Values(100)
    before, after = values.make(key_hash, version), values.make(key_hash, version + 1)
    torn = before[:cut] + after[cut:]
    key = keys_of(np.array([key_hash], dtype=np.uint64))[0]
    assert values.is_right(key, torn) == (torn in (before, after))


@given(HASHES, VERSIONS, st.integers(0, 99))
def test_a_value_of_another_length_is_seen(key_hash: int, version: int, length: int) -> None:
    values = Values(100)
    value = values.make(key_hash, version)
    key = keys_of(np.array([key_hash], dtype=np.uint64))[0]
    assert not values.is_right(key, value[:length])
    assert not values.is_right(key, value + b"\0")
    assert not values.is_right(key, Values(max(length, VALUE_BYTES_MIN)).make(key_hash, version))
