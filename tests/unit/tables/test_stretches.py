"""Stretches: how far the wanted entries reach in several layers, and where only one layer has entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import BLOCK_ENTRIES
from shardstore.tables.stretches import Ordered, lone_stretch, stretch_of
from shardstore.tables.table_format import Identity
from shardstore.tables.table_reader import Table
from shardstore.workers.overlay.active_layer import ActiveLayer
from tests.unit.layer_reading import content_of, stretches
from tests.unit.table_samples import STORE, empty_filesystem, write


def key(number: int) -> bytes:
    return b"%05d" % number


def in_memory(numbers: range) -> ActiveLayer:
    layer = ActiveLayer()
    layer.put([key(number) for number in numbers], [b"v"] * len(numbers), 6 * len(numbers), 1)
    layer.sort(1 << 20)
    return layer


def in_a_table(numbers: range, size: int = 1) -> Table:
    filesystem, identity = empty_filesystem(), Identity(STORE, 7, 1)
    record = write(filesystem, {key(number): b"v" * size for number in numbers}, identity)
    return Table.open(filesystem, identity, record)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("entries_max", [1, 100, 600, 3_000])
def test_stretches_have_about_the_wanted_size_however_uneven_the_layers_are(reverse: bool, entries_max: int) -> None:
    layers: list[Ordered] = [in_a_table(range(5_000)), in_a_table(range(0, 5_000, 50)), in_memory(range(7, 5_000, 9))]
    wanted = KeyRange(key(10), key(4_900))
    found = stretches(layers, wanted, reverse, entries_max)
    everything = [each for stretch in (found[::-1] if reverse else found) for each in stretch]
    assert everything == sorted(content_of(*layers, key_range=wanted))
    assert max(map(len, found)) <= 2 * entries_max + 2 * BLOCK_ENTRIES
    if entries_max < BLOCK_ENTRIES:
        assert max(map(len, found)) <= entries_max
    assert sum(map(len, found[:-1])) >= (len(found) - 1) * entries_max // 4


@pytest.mark.parametrize("reverse", [False, True])
def test_a_stretch_is_bounded_in_bytes(reverse: bool) -> None:
    layer = in_a_table(range(2_000), 1_000)
    stretch = stretch_of([layer], EVERYTHING, reverse, 10_000, 300_000)
    assert 300 <= len(content_of(layer, key_range=stretch)) <= 600


@given(st.integers(0, 9), st.integers(1, 5), st.integers(0, 9), st.integers(1, 5), st.booleans())
def test_a_lone_stretch_has_entries_of_one_layer_only(
    one: int, ones: int, other: int, others: int, reverse: bool
) -> None:
    layers: list[Ordered] = [in_memory(range(one, one + ones)), in_memory(range(other, other + others))]
    alone = lone_stretch(layers, EVERYTHING, reverse)
    if alone is None:
        assert (one + ones == other + others) if reverse else one == other
        return
    layer, stretch = alone
    rest = [each for each in layers if each is not layer]
    assert content_of(layer, key_range=stretch)
    assert not content_of(*rest, key_range=stretch)


def test_nothing_is_alone_where_nothing_is() -> None:
    assert lone_stretch([in_memory(range(3))], KeyRange(b"x"), False) is None
