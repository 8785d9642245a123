"""Skipping deleted keys finds the next key with a value, in whatever layers values and tombstones are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.tables import deleted_keys
from shardstore.tables.deleted_keys import pass_deleted
from shardstore.tables.scan_page import scan_page
from shardstore.tables.stretches import Ordered
from shardstore.tables.table_format import Identity
from shardstore.tables.table_reader import Table
from shardstore.workers.overlay.active_layer import ActiveLayer
from tests.unit.layer_reading import content_of
from tests.unit.table_samples import STORE, empty_filesystem, write

ENTRIES = st.dictionaries(st.integers(0, 60), st.sampled_from([TOMBSTONE, TOMBSTONE, TOMBSTONE, b"v", b"ww"]))
BOUNDS = st.tuples(st.integers(0, 59), st.integers(1, 30))


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleted_keys, "PASSED_ENTRIES_MIN", 2)
    monkeypatch.setattr(deleted_keys, "PASSED_ENTRIES_MAX", 8)
    monkeypatch.setattr(deleted_keys, "PASSED_GROWTH", 2)


def key(number: int) -> bytes:
    return b"%03d" % number


def in_memory(entries: dict[bytes, Stored]) -> ActiveLayer:
    layer = ActiveLayer()
    layer.delete([each for each, value in entries.items() if value is TOMBSTONE], 0, 1)
    values = {each: value for each, value in entries.items() if isinstance(value, bytes)}
    layer.put(list(values), list(values.values()), 0, 1)
    layer.sort(1 << 20)
    return layer


def in_a_table(entries: dict[bytes, Stored]) -> Table:
    filesystem, identity = empty_filesystem(), Identity(STORE, 7, 1)
    return Table.open(filesystem, identity, write(filesystem, dict(sorted(entries.items())), identity))


def layers_of(contents: Sequence[dict[int, Stored]]) -> list[Ordered]:
    """Layers of which every second one is a table."""
    makers = (in_a_table, in_memory)
    keyed = [{key(number): value for number, value in content.items()} for content in contents if content]
    return [makers[at % 2](content) for at, content in enumerate(keyed)]


@given(st.lists(ENTRIES, max_size=4), BOUNDS, st.booleans())
def test_the_nearest_key_with_a_value_is_the_next(
    contents: list[dict[int, Stored]], bounds: tuple[int, int], reverse: bool
) -> None:
    layers = layers_of(contents)
    wanted = KeyRange(key(bounds[0]), key(sum(bounds)))
    held = content_of(*layers, key_range=wanted)
    living = [each for each, value in held.items() if value is not TOMBSTONE]
    left: KeyRange | None = wanted
    has_value = False
    while left is not None and not has_value:
        before = left
        left, has_value, looked_at = pass_deleted(layers, left, reverse, 0)
        assert 0 <= looked_at <= sum(map(len, contents))
        assert has_value or left != before, "it continues"
    if not living:
        assert (left, has_value) == (None, False)
    elif reverse:
        assert left == KeyRange(wanted.start, living[-1] + b"\0")
    else:
        assert left == KeyRange(living[0], wanted.end)


@pytest.mark.parametrize("reverse", [False, True])
def test_one_step_is_bounded(reverse: bool) -> None:
    """The number of keys skipped in a turn is bounded, so that a scan does not block others."""
    layer = in_memory(dict.fromkeys(map(key, range(100)), TOMBSTONE))
    left, has_value, looked_at = pass_deleted([layer], EVERYTHING, reverse, 0)
    assert left is not None
    assert not has_value
    assert 8 < 100 - len(content_of(layer, key_range=left)) == looked_at < 40


@given(st.lists(ENTRIES, max_size=4), st.integers(1, 5), st.booleans())
def test_what_a_page_has_passed_has_no_value(contents: list[dict[int, Stored]], limit: int, reverse: bool) -> None:
    layers = layers_of(contents)
    page = scan_page(layers, EVERYTHING, reverse, False, limit, 0)
    if page.passed is not None:
        assert set(content_of(*layers, key_range=page.passed).values()) <= {TOMBSTONE}
        assert (page.passed.end if reverse else page.passed.start) == b"", "it is at the near end"
