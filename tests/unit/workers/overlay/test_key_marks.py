"""Key marks stand for equal steps of written bytes, whatever the sizes and the order."""

from __future__ import annotations

import pytest

from shardstore.workers.overlay.active_layer import ActiveLayer
from shardstore.workers.overlay.key_marks import MARKS_MAX, KeyMarks


def key(number: int) -> bytes:
    return b"k%09d" % number


@pytest.mark.parametrize("batch", [1, 10, 1_000, 65_536])
def test_marks_are_spread_over_all_that_was_written_however_it_came(batch: int) -> None:
    marks = KeyMarks()
    total = 131_072 if batch > 10 else 20_000
    for first in range(0, total, batch):
        keys = [key(number) for number in range(first, min(first + batch, total))]
        marks.note(keys, 60 * len(keys))
    assert MARKS_MAX // 4 <= len(marks.keys) <= MARKS_MAX
    assert len(marks.keys) * marks.step_bytes == pytest.approx(60 * total, rel=0.25)
    in_quarter = [sum(int(mark[1:]) * 4 // total == quarter for mark in marks.keys) for quarter in range(4)]
    assert all(count == pytest.approx(len(marks.keys) / 4, abs=len(marks.keys) / 8) for count in in_quarter)


def test_a_large_value_counts_for_its_bytes() -> None:
    marks = KeyMarks()
    for number in range(1_000):
        marks.note([key(number)], 100)
    marks.note([key(5_000)], 300_000)
    large = sum(mark == key(5_000) for mark in marks.keys)
    assert large / len(marks.keys) == pytest.approx(0.75, abs=0.1)


def test_no_pattern_in_the_order_of_keys_counts_for_more() -> None:
    marks = KeyMarks()
    for number in range(100_000):
        marks.note([b"even" if number % 2 == 0 else b"odd"], 64)
    even = sum(mark == b"even" for mark in marks.keys) / len(marks.keys)
    assert even == pytest.approx(0.5, abs=0.2)


def test_the_same_writes_leave_the_same_marks() -> None:
    layers = [ActiveLayer(), ActiveLayer()]
    for layer in layers:
        for first in range(0, 10_000, 100):
            layer.put([key(first + at) for at in range(100)], [b"v" * 20] * 100, 3_000, 1 + first)
    assert layers[0].key_marks.keys == layers[1].key_marks.keys


def test_a_bar_without_keys_and_deletes_leave_no_mark() -> None:
    layer = ActiveLayer()
    layer.put([], [], 0, 1)
    layer.delete([b"a", b"b"], 2, 2)
    assert (layer.key_marks.keys, layer.deletes) == ([], 2)
