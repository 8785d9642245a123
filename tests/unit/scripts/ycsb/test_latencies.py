"""Latencies agree with the package hdrhistogram, which defines the format, and with the values themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st
from ycsb.latencies import HIGHEST_NS, SIGNIFICANT_DIGITS, Latencies

PERCENTILES = (0.1, 10, 50, 90, 99, 99.9, 100)
TIMES_NS = st.lists(st.integers(0, HIGHEST_NS) | st.integers(0, 5_000), min_size=1, max_size=200)


def recorded(times_ns: list[int]) -> Latencies:
    latencies = Latencies()
    latencies.record(np.array(times_ns, dtype=np.int64))
    return latencies


@given(TIMES_NS)
def test_counts_lie_where_the_package_has_them(times_ns: list[int]) -> None:
    theirs = HdrHistogram(1, HIGHEST_NS, SIGNIFICANT_DIGITS)
    for time_ns in times_ns:
        assert theirs.record_value(time_ns)
    ours = HdrHistogram.decode(recorded(times_ns).encode())
    assert list(ours.counts) == list(theirs.counts)
    assert ours.get_total_count() == theirs.get_total_count() == len(times_ns)
    assert ours.get_max_value() == theirs.get_max_value()


@given(TIMES_NS)
def test_percentiles_are_values_to_three_digits(times_ns: list[int]) -> None:
    in_order = np.sort(times_ns)
    ranks = [max(1, int(np.ceil(percentile / 100 * len(times_ns) - 1e-9))) for percentile in PERCENTILES]
    for found, exact in zip(recorded(times_ns).percentiles_ns(PERCENTILES), in_order[np.array(ranks) - 1], strict=True):
        assert exact <= found <= exact * 1.001 + 1


@given(TIMES_NS)
def test_mean_and_maximum_are_right_to_three_digits(times_ns: list[int]) -> None:
    latencies = recorded(times_ns)
    assert latencies.count == len(times_ns)
    assert latencies.max_ns == pytest.approx(max(times_ns), rel=1e-3)
    assert latencies.mean_ns == pytest.approx(float(np.mean(times_ns)), rel=1e-3)


@given(TIMES_NS, TIMES_NS)
def test_parts_add_up_by_every_way(first: list[int], second: list[int]) -> None:
    together = recorded(first + second).encode()
    added, unpacked = recorded(first), recorded(first)
    added.add(Latencies.decode(recorded(second).encode()))
    unpacked.add_sparse(recorded(second).sparse())
    assert added.encode() == unpacked.encode() == together


def test_what_is_out_of_range_is_counted_at_its_end() -> None:
    latencies = recorded([-5, 2 * HIGHEST_NS])
    assert latencies.percentiles_ns((1, 100)) == [0, pytest.approx(HIGHEST_NS, rel=1e-3)]


def test_without_latencies_everything_is_0() -> None:
    latencies = Latencies.decode(Latencies().encode())
    assert (latencies.count, latencies.max_ns, latencies.mean_ns) == (0, 0, 0)
    assert latencies.percentiles_ns(PERCENTILES) == [0] * len(PERCENTILES)
