"""The overlay against a plain dict: whatever is written, sealed and drained, the newest entry is found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import BUFFERED_ENTRY_BYTES
from shardstore.workers.overlay.overlay import Overlay
from tests.unit.layer_reading import stretches

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
    """An overlay after these steps, and its expected content."""
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
                overlay.active.sort(2)
        overlay.check_invariants()
    return overlay, model


@given(STEPS, st.lists(KEYS, min_size=1))
def test_get_many_answers_the_newest_entry_of_each_key(steps: list[tuple[str, object]], wanted: list[bytes]) -> None:
    overlay, model = built(steps)
    assert overlay.get_many(wanted) == [model.get(key) for key in wanted]


@given(STEPS, KEYS, KEYS, st.booleans(), st.integers(1, 4))
def test_stretches_of_all_layers_are_the_model(
    steps: list[tuple[str, object]], one: bytes, other: bytes, reverse: bool, entries_max: int
) -> None:
    overlay, model = built(steps)
    layers = overlay.layers()
    for layer in layers:
        layer.sort(1_000)
    pieces = sum(len(layer.columns(EVERYTHING)) for layer in layers)
    low, high = min(one, other), max(one, other)
    found: dict[bytes, Stored] = {}
    for stretch in stretches(layers, KeyRange(low, high + b"\0"), reverse, entries_max):
        assert len(stretch) <= entries_max + pieces
        found.update(stretch)
    assert sorted(found.items()) == sorted((key, value) for key, value in model.items() if low <= key <= high)


def test_seal_keeps_an_empty_layer_and_drop_runs_answers_the_bytes_freed() -> None:
    overlay = Overlay()
    overlay.seal(1)
    assert not overlay.runs
    overlay.active.put([b"a"], [b"1"], 2, 3)
    overlay.seal(3)
    overlay.active.put([b"b"], [b"2"], 2, 4)
    assert (overlay.lsn_first, len(overlay), overlay.size_bytes) == (3, 2, 2 * (2 + BUFFERED_ENTRY_BYTES))
    assert overlay.drop_runs(2) == 0
    assert overlay.drop_runs(3) == 2 + BUFFERED_ENTRY_BYTES
    assert (overlay.lsn_first, len(overlay)) == (4, 1)
