"""The overlay against a plain dict: whatever is written, sealed and drained, the newest entry answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.workers.chunk import Chunk, merge
from shardstore.workers.overlay.active_layer import ENTRY_OVERHEAD_BYTES, ActiveLayer
from shardstore.workers.overlay.overlay import Overlay

KEYS = st.binary(min_size=1, max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.dictionaries(KEYS, st.binary(max_size=4), min_size=1, max_size=5)),
        st.tuples(st.just("delete"), st.lists(KEYS, min_size=1, max_size=5)),
        st.tuples(st.just("seal"), st.none()),
        st.tuples(st.just("scan"), st.none()),
    ),
    max_size=12,
)


def built(steps: list[tuple[str, object]]) -> tuple[Overlay, dict[bytes, Stored]]:
    """An overlay after these steps, and what it must hold."""
    overlay, model = Overlay(), {}
    for lsn, (step, argument) in enumerate(steps, start=1):
        match step, argument:
            case "put", dict(pairs):
                overlay.active.put(list(pairs), list(pairs.values()), 10, lsn)
                model.update(pairs)
            case "delete", list(keys):
                overlay.active.delete(keys, 5, lsn)
                model.update(dict.fromkeys(keys, TOMBSTONE))
            case "seal", _:
                overlay.seal(lsn)
            case "scan", _:
                overlay.active.ordered()
        overlay.check_invariants()
    return overlay, model


@given(STEPS, st.lists(KEYS, min_size=1))
def test_get_many_answers_the_newest_entry_of_each_key(steps: list[tuple[str, object]], wanted: list[bytes]) -> None:
    overlay, model = built(steps)
    assert overlay.get_many(wanted) == [model.get(key) for key in wanted]


@given(STEPS, KEYS, KEYS, st.booleans(), st.integers(1, 4))
def test_chunks_of_all_layers_merge_to_the_model_page_by_page(
    steps: list[tuple[str, object]], one: bytes, other: bytes, reverse: bool, entries_max: int
) -> None:
    overlay, model = built(steps)
    wanted = KeyRange(min(one, other), max(one, other) + b"\0")
    pages: list[tuple[bytes, Stored]] = []
    while True:
        layers = overlay.layers()
        chunk = merge([layer.chunk(wanted, reverse, entries_max, 1 << 20) for layer in layers], reverse, 1 << 20)
        entries = list(zip(chunk.keys, chunk.values, strict=True))
        pages = entries + pages if reverse else pages + entries
        if chunk.exhausted:
            break
        start, end = wanted.start, wanted.end
        if (reverse and chunk.keys[0] <= start) or (not reverse and chunk.keys[-1] + b"\0" >= end):
            break
        wanted = KeyRange(start, chunk.keys[0]) if reverse else KeyRange(chunk.keys[-1] + b"\0", end)
    low, high = min(one, other), max(one, other)
    assert pages == sorted((key, value) for key, value in model.items() if low <= key <= high)


def test_seal_keeps_an_empty_layer_and_drop_runs_answers_the_bytes_freed() -> None:
    overlay = Overlay()
    overlay.seal(1)
    assert not overlay.runs
    overlay.active.put([b"a"], [b"1"], 2, 3)
    overlay.seal(3)
    overlay.active.put([b"b"], [b"2"], 2, 4)
    assert (overlay.lsn_first, len(overlay), overlay.size_bytes) == (3, 2, 2 * (2 + ENTRY_OVERHEAD_BYTES))
    assert overlay.drop_runs(2) == 0
    assert overlay.drop_runs(3) == 2 + ENTRY_OVERHEAD_BYTES
    assert (overlay.lsn_first, len(overlay)) == (4, 1)


def test_chunk_is_bounded_in_bytes_but_never_empty() -> None:
    layer = ActiveLayer()
    layer.put([b"a", b"b", b"c"], [b"x" * 100] * 3, 303, 1)
    assert list(layer.chunk(EVERYTHING, False, 10, 1).keys) == [b"a"]
    assert list(layer.chunk(EVERYTHING, True, 10, 1).keys) == [b"c"]
    assert layer.chunk(EVERYTHING, False, 10, 1 << 20).exhausted


def test_merge_stops_where_the_first_unfinished_layer_stops() -> None:
    old = Chunk([b"a", b"b"], [b"1", b"2"], exhausted=False)
    new = Chunk([b"c", b"d"], [b"3", b"4"], exhausted=True)
    assert merge([old, new], False, 100) == Chunk([b"a", b"b"], [b"1", b"2"], exhausted=False)
    assert merge([old, new], True, 100).keys == [b"a", b"b", b"c", b"d"]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_merged_chunk_is_bounded_in_bytes_from_the_near_end(reverse: bool) -> None:
    layers = [Chunk([b"%d" % number], [b"v" * 99], exhausted=True) for number in range(6)]
    for bytes_max, entries in ((1, 1), (100, 1), (199, 1), (200, 2), (599, 5)):
        chunk = merge(layers, reverse, bytes_max)
        assert len(chunk.keys) == len(chunk.values) == entries
        assert chunk.keys[-1 if reverse else 0] == (b"5" if reverse else b"0")
        assert not chunk.exhausted
    assert merge(layers, reverse, 600).exhausted
