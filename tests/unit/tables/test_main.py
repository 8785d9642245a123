"""A main of several parts behaves like one table."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import BLOCK_ENTRIES
from shardstore.tables.digests import digest_of
from shardstore.tables.empty_layer import EMPTY_LAYER
from shardstore.tables.main import Main
from shardstore.tables.table_format import Identity
from shardstore.tables.table_reader import Table
from shardstore.tables.wanted import Wanted
from shardstore.wire.columns import decode
from tests.unit.layer_reading import content_of, stretches
from tests.unit.table_samples import STORE, absent_from, empty_filesystem, sample, write

ENTRIES = sample("variable-variable", 400)
KEYS = list(ENTRIES)


def main_of(*parts: dict[bytes, Stored]) -> Main:
    filesystem = empty_filesystem()
    identities = [Identity(STORE, 7, number) for number in range(1, len(parts) + 1)]
    return Main(
        [
            Table.open(filesystem, identity, write(filesystem, part, identity))
            for identity, part in zip(identities, parts, strict=True)
        ]
    )


def cut(*borders: int) -> Main:
    bounds = [0, *borders, len(KEYS)]
    return main_of(*({key: ENTRIES[key] for key in KEYS[first:last]} for first, last in pairwise(bounds)))


@pytest.fixture(scope="module")
def main() -> Main:
    return cut(1, 100, 101, 399)


def test_points_one_by_one_and_together(main: Main) -> None:
    asked = [*ENTRIES, *absent_from(ENTRIES)]
    expected = list(map(ENTRIES.get, asked))
    assert [main.get(key, digest_of(key)) for key in asked] == expected
    assert main.get_many(asked) == expected
    assert [main.get_many([key])[0] for key in asked] == expected
    assert main.get_many(asked[::-1]) == expected[::-1]


@pytest.mark.parametrize("step", [1, 3, 50])
def test_only_what_is_still_missing_is_filled_in(main: Main, step: int) -> None:
    asked = [*absent_from(ENTRIES), *KEYS][::-1]
    places = np.arange(0, len(asked), step)
    found = np.full(len(asked), b"newer", object)
    found[places] = None
    left = main.fill(found, Wanted.of(asked).at(places), places)
    assert places[left].tolist() == [place for place in places.tolist() if asked[place] not in ENTRIES]
    wanted = set(places.tolist())
    assert found.tolist() == [ENTRIES.get(key) if place in wanted else b"newer" for place, key in enumerate(asked)]


def test_keys_that_agree_in_all_bytes_that_are_compared_at_once() -> None:
    long = b"the same beginning of all keys " * 2
    keys = [long + bytes([number]) * number for number in range(1, 60)]
    zeros = [b"a", b"a\0", b"a\0\0", b"b"]
    parts: list[dict[bytes, Stored]] = [{key: key} for key in [*zeros, *keys]]
    main = main_of(*parts)
    asked = [*zeros, *keys, b"a\0\0\0", long, b"0", b"z"]
    assert main.get_many(asked) == [*zeros, *keys, None, None, None, None]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("entries_max", [1, 30, 300])
def test_stretches_follow_each_other_over_the_borders_of_parts(main: Main, reverse: bool, entries_max: int) -> None:
    found = stretches([main], EVERYTHING, reverse, entries_max)
    keys = [key for stretch in (found[::-1] if reverse else found) for key in stretch]
    assert keys == KEYS
    assert max(map(len, found)) <= entries_max + 2 * BLOCK_ENTRIES


@pytest.mark.parametrize("reverse", [False, True])
def test_a_range_between_parts_is_empty_and_one_inside_a_part_is_not(main: Main, reverse: bool) -> None:
    gap = KeyRange(KEYS[99] + b"\0", KEYS[100])
    assert main.extent(gap) is None
    assert not main.columns(gap)
    assert not main.marks(gap, reverse, 1, 1)
    assert main.page(gap, reverse, 10, 10**6) == EMPTY_LAYER.page(gap, reverse, 10, 10**6)
    over_the_gap = KeyRange(KEYS[99] + b"\0", KEYS[100] + b"\0")
    assert main.extent(over_the_gap) == KeyRange(KEYS[100], KEYS[100] + b"\0")
    assert content_of(main, key_range=over_the_gap) == {KEYS[100]: ENTRIES[KEYS[100]]}


@pytest.mark.parametrize("reverse", [False, True])
def test_pages_end_where_a_part_does_and_tell_that_there_is_more(main: Main, reverse: bool) -> None:
    wanted = rest = KeyRange(KEYS[50], KEYS[350])
    found: list[bytes] = []
    for part in range(3):
        page = main.page(rest, reverse, 10_000, 10**9)
        assert page is not None
        keys = decode(page.keys.frame, page.keys.fixed, page.entries, 1, 100)
        found = [*keys, *found] if reverse else [*found, *keys]
        assert (page.first_key, page.last_key, page.exhausted) == (keys[0], keys[-1], part == 2)
        if part < 2:
            rest = KeyRange(rest.start, keys[0]) if reverse else KeyRange(keys[-1] + b"\0", rest.end)
    assert found == [key for key in KEYS if key in wanted]


def test_a_part_with_tombstones_has_no_page_and_the_others_do() -> None:
    main = main_of({b"a": b"1"}, {b"b": TOMBSTONE, b"c": b"2"})
    assert main.page(KeyRange(b"a", b"b"), False, 10, 1000) is not None
    assert main.page(KeyRange(b"b"), False, 10, 1000) is None


def test_the_empty_layer_holds_nothing() -> None:
    assert EMPTY_LAYER.get(b"a", (0, 0)) is None
    assert EMPTY_LAYER.get_many([b"a", b"b"]) == [None, None]
    assert EMPTY_LAYER.extent(EVERYTHING) is None
    assert not EMPTY_LAYER.columns(EVERYTHING)
    assert not EMPTY_LAYER.marks(EVERYTHING, False, 1, 1)
    page = EMPTY_LAYER.page(EVERYTHING, False, 1, 1)
    assert (page.entries, page.exhausted) == (0, True)
