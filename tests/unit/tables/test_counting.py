"""Counts over layers of every kind of key against a dict."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import KeyRange
from shardstore.tables import counting
from shardstore.tables.counting import count_step, estimated
from shardstore.workers.overlay.active_layer import ActiveLayer

SHORT = [b"%02d" % number for number in range(20)]
LONG = [b"%012d" % number + b"%08d" % (number % 3) for number in range(20)]
TIED = [b"%08d" % (number // 5) + b"%016d" % number for number in range(20)]
MIXED = [b"x" * (1 + number % 4) + b"%02d" % number for number in range(20)]
KINDS = {"short": SHORT, "long": LONG, "tied": TIED, "mixed": MIXED}


def layer_of(entries: dict[bytes, Stored]) -> ActiveLayer:
    layer = ActiveLayer()
    for key, value in entries.items():
        if value is TOMBSTONE:
            layer.delete([key], len(key), 1)
        else:
            layer.put([key], [value], len(key), 1)
    while layer.sort(100) == 100:
        pass
    return layer


@given(
    st.sampled_from(list(KINDS)),
    st.lists(st.dictionaries(st.integers(0, 19), st.sampled_from([b"v", TOMBSTONE]), max_size=20), max_size=4),
    st.sampled_from([1, 5, 1_000]),
    st.integers(0, 19),
)
def test_a_key_counts_if_it_has_a_value_in_its_newest_layer(
    kind: str, written: list[dict[int, Stored]], step: int, at: int
) -> None:
    keys = KINDS[kind]
    entries = [{keys[number]: value for number, value in each.items()} for each in written]
    layers = list(map(layer_of, entries))
    model: dict[bytes, Stored] = {}
    for each in entries:
        model.update(each)
    for wanted in (KeyRange(), KeyRange(b"", max(keys[at], b"0")), KeyRange(keys[at])):
        expected = len([key for key, value in model.items() if value is not TOMBSTONE and key in wanted])
        counted, left = 0, wanted
        with patch.object(counting, "COUNTED_A_STEP", step):
            while left is not None:
                entries_now, left = count_step(layers, left, 0)
                counted += entries_now
        assert counted == expected
        about = estimated(layers, wanted, 0)
        assert abs(about.entries - expected) <= about.error


def test_an_estimate_of_one_layer_without_deletions_is_exact() -> None:
    found = estimated([layer_of(dict.fromkeys(SHORT, b"v"))], KeyRange(SHORT[2], SHORT[7]), 0)
    assert (found.entries, found.error) == (5, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_overwritten_keys_count_once(kind: str) -> None:
    keys = KINDS[kind]
    layers = [layer_of(dict.fromkeys(keys, b"old")), layer_of(dict.fromkeys(keys[5:], b"new"))]
    counted, left = count_step(layers, KeyRange(), 0)
    assert left is not None, "where there is only one layer, it is counted alone"
    assert counted + count_step(layers, left, 0).entries == 20
