"""The records of the benchmarks: distinct, unordered, the same in every run, with misses that look like hits."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import pairwise

import pytest
from benchmarks.records import HEX, SHAPES, TENANT, VARIABLE_4K, VARIABLE_100, RecordShape, records_of

COUNT = 3_000
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


@every_shape
def test_keys_and_values_are_distinct(shape: RecordShape) -> None:
    records = records_of(shape, COUNT)
    assert len(set(records.keys)) == len(set(records.values)) == len(records.keys) == len(records.values) == COUNT


@every_shape
def test_keys_are_in_no_order(shape: RecordShape) -> None:
    keys = records_of(shape, COUNT).keys
    rising = sum(before < after for before, after in pairwise(keys))
    assert 0.45 < rising / COUNT < 0.55


@every_shape
def test_the_same_arguments_give_the_same_records(shape: RecordShape) -> None:
    records = records_of(shape, COUNT)
    again = records_of(shape, COUNT)
    assert (records.keys, records.values, records.reads()) == (again.keys, again.values, again.reads())
    assert records_of(shape, 10).keys == records.keys[:10]
    assert records_of(shape, 10).values == records.values[:10]


@every_shape
def test_seeds_have_no_key_in_common(shape: RecordShape) -> None:
    assert not set(records_of(shape, COUNT).keys) & set(records_of(shape, COUNT, seed=1).keys)


@every_shape
def test_absent_keys_are_not_there_and_lie_between_those_that_are(shape: RecordShape) -> None:
    records = records_of(shape, COUNT)
    absent = records.absent(COUNT)
    assert len(set(absent)) == COUNT
    assert not set(absent) & set(records.keys)
    boundaries = records.boundaries(8)
    assert min(Counter(bisect_right(boundaries, key) for key in absent).values()) > COUNT / 8 * 0.8


@every_shape
def test_every_fifth_read_misses_at_a_random_place(shape: RecordShape) -> None:
    records = records_of(shape, COUNT)
    keys, expected = records.reads()
    written = dict(zip(records.keys, records.values, strict=True))
    assert expected == list(map(written.get, keys))
    assert len(set(keys)) == len(keys) == COUNT
    assert expected.count(None) == COUNT // 5
    assert 0.15 < expected[: COUNT // 2].count(None) / (COUNT // 2) < 0.25


@every_shape
@pytest.mark.parametrize("ranges", [1, 2, 8, 64])
def test_boundaries_split_the_records_evenly(shape: RecordShape, ranges: int) -> None:
    records = records_of(shape, COUNT)
    boundaries = records.boundaries(ranges)
    sizes = Counter(bisect_right(boundaries, key) for key in records.keys)
    assert len(sizes) == ranges
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_boundaries_of_few_records_are_distinct() -> None:
    boundaries = records_of(HEX, 3).boundaries(8)
    assert boundaries == sorted(set(boundaries))


def test_hexadecimal_keys_are_those_of_splitmix64() -> None:
    records = records_of(HEX, 2)
    assert records.keys == [b"e220a8397b1dcdaf", b"6e789e6aa1b965f4"]
    assert records.values == [b"e220a8397b1dcdafe220a839", b"6e789e6aa1b965f46e789e6a"]


def test_variable_keys_have_8_to_64_bytes_and_share_prefixes() -> None:
    keys = records_of(VARIABLE_100, 100_000).keys
    lengths = Counter(map(len, keys))
    assert min(lengths) == 8
    assert 60 < max(lengths) <= 64
    assert max(lengths.values()) < len(keys) / 4
    assert max(Counter(key[:-8] for key in keys if len(key) > 30).values()) > 10


def test_keys_of_tenants_have_one_length_and_few_beginnings() -> None:
    keys = records_of(TENANT, 20_000).keys
    assert set(map(len, keys)) == {38}
    shares = Counter(key[: len(b"tenant/0000/user/")] for key in keys)
    assert len(shares) == 20
    assert min(shares.values()) > 800


def test_values_of_variable_shapes_have_their_size() -> None:
    assert set(map(len, records_of(VARIABLE_100, 100).values)) == {100}
    assert set(map(len, records_of(VARIABLE_4K, 100).values)) == {4_096}
