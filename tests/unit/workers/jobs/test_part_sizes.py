"""Sizes of parts: between the bounds, spread, and the same for the same seed."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from shardstore.limits import KIB
from shardstore.segment_options import SegmentOptions
from shardstore.workers.jobs.part_sizes import drawn_sizes, size_of_part

OPTIONS = SegmentOptions(block_bytes=KIB, part_min_bytes=2000, part_max_bytes=5000, main_max_bytes=50_000)


def drawn(seed: int, count: int = 1000) -> list[int]:
    return list(islice(drawn_sizes(seed, OPTIONS), count))


@given(st.integers(0, 2**64 - 1))
def test_sizes_stay_within_the_bounds(seed: int) -> None:
    assert all(2000 <= size <= 5000 for size in drawn(seed, 50))


def test_the_seed_decides_and_nothing_else() -> None:
    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert drawn(0, 4) == [2000 + word % 3001 for word in SPLITMIX_OF_0]


SPLITMIX_OF_0 = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC)
"""The published first outputs of splitmix64 for the seed 0."""


def test_sizes_spread_over_the_whole_interval() -> None:
    sizes = drawn(3)
    assert min(sizes) < 2050
    assert max(sizes) > 4950
    assert 3400 < sum(sizes) / len(sizes) < 3600


def test_one_size_when_the_bounds_are_one() -> None:
    options = SegmentOptions(block_bytes=KIB, part_min_bytes=KIB, part_max_bytes=KIB, main_max_bytes=KIB)
    assert list(islice(drawn_sizes(9, options), 3)) == [KIB] * 3


@given(st.integers(2000, 5000), st.integers(1, 20_000))
def test_no_part_is_too_large_and_none_is_left_too_small(drawn_bytes: int, rest_bytes: int) -> None:
    size = size_of_part(drawn_bytes, rest_bytes, OPTIONS)
    assert 2000 <= size <= 5000
    left = rest_bytes - size
    assert left <= 0 or left >= 2000
