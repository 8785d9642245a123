"""Sampled keys stand for equal steps of written bytes, whatever the sizes and the order."""

from __future__ import annotations

import pytest

from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.overlay.key_sample import SAMPLE_KEYS_MAX, KeySample


def key(number: int) -> bytes:
    return b"k%09d" % number


@pytest.mark.parametrize("batch", [1, 10, 1_000, 65_536])
def test_samples_are_spread_over_all_that_was_written_however_it_came(batch: int) -> None:
    sample = KeySample()
    total = 131_072 if batch > 10 else 20_000
    for first in range(0, total, batch):
        keys = [key(number) for number in range(first, min(first + batch, total))]
        sample.note(keys, 60 * len(keys))
    assert SAMPLE_KEYS_MAX // 4 <= len(sample.keys) <= SAMPLE_KEYS_MAX
    assert len(sample.keys) * sample.step_bytes == pytest.approx(60 * total, rel=0.25)
    in_quarter = [sum(int(each[1:]) * 4 // total == quarter for each in sample.keys) for quarter in range(4)]
    assert all(count == pytest.approx(len(sample.keys) / 4, abs=len(sample.keys) / 8) for count in in_quarter)


def test_a_large_value_counts_for_its_bytes() -> None:
    sample = KeySample()
    for number in range(1_000):
        sample.note([key(number)], 100)
    sample.note([key(5_000)], 300_000)
    large = sum(each == key(5_000) for each in sample.keys)
    assert large / len(sample.keys) == pytest.approx(0.75, abs=0.1)


def test_no_pattern_in_the_order_of_keys_counts_for_more() -> None:
    sample = KeySample()
    for number in range(100_000):
        sample.note([b"even" if number % 2 == 0 else b"odd"], 64)
    even = sum(each == b"even" for each in sample.keys) / len(sample.keys)
    assert even == pytest.approx(0.5, abs=0.2)


def test_the_same_writes_leave_the_same_sample() -> None:
    layers = [ActiveLayer(), ActiveLayer()]
    for layer in layers:
        for first in range(0, 10_000, 100):
            layer.put([key(first + at) for at in range(100)], [b"v" * 20] * 100, 3_000, 1 + first)
    assert layers[0].key_sample.keys == layers[1].key_sample.keys


def test_a_bar_without_keys_and_deletes_leave_no_sample() -> None:
    layer = ActiveLayer()
    layer.put([], [], 0, 1)
    layer.delete([b"a", b"b"], 2, 2)
    assert (layer.key_sample.keys, layer.deletes) == ([], 2)
