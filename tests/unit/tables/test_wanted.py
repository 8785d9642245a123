"""Keys that are looked up together: cut and compared alike, whether they have one length or several."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.tables.column_items import as_array
from shardstore.tables.digests import digests_of
from shardstore.tables.padded_keys import PADDED_BYTES_MAX, PaddedKeys
from shardstore.tables.wanted import Wanted

ONE_LENGTH = [b"%04d" % number for number in range(30)]
MIXED = [b"k" * number for number in range(1, 31)]
LONG = [*MIXED, b"k" * (PADDED_BYTES_MAX + 1)]
COLUMNS = pytest.mark.parametrize("keys", [ONE_LENGTH, MIXED, LONG, [b"one"]])


@COLUMNS
def test_a_cut_has_the_keys_and_their_digests(keys: list[bytes]) -> None:
    wanted = Wanted.of(keys)
    places = np.arange(len(keys))[::-2]
    for cut, expected in ((wanted.at(places), keys[::-2]), (wanted.span(0, 20), keys[:20]), (wanted, keys)):
        assert (len(cut), cut.as_list()) == (len(expected), expected)
        assert (cut.digests == digests_of(expected)).all()


def test_keys_are_an_array_unless_one_is_too_long() -> None:
    assert isinstance(Wanted.of(ONE_LENGTH).keys, np.ndarray)
    assert isinstance(Wanted.of(MIXED).keys, PaddedKeys)
    assert Wanted.of(LONG).keys is LONG


@given(st.lists(st.tuples(*[st.binary(min_size=1, max_size=2)] * 2), min_size=1), st.booleans(), st.booleans())
def test_keys_are_compared_one_by_one(pairs: list[tuple[bytes, bytes]], padded: bool, as_arrays: bool) -> None:
    """Every other key may be longer, so that arrays of different lengths are compared too."""
    ours = [key.ljust(2, b"\0") if as_arrays else key for key, _ in pairs]
    others = [key.ljust(3 if padded else 2, b"\0") if as_arrays else key for _, key in pairs]
    places = np.arange(len(pairs))[::-1]
    found = Wanted.of(ours).are(places, as_array(others[::-1], len(others[0])) if as_arrays else others[::-1])
    expected = [one == other for one, other in zip(ours, others, strict=True)][::-1]
    assert (found is None) == all(expected)
    assert found is None or found.tolist() == expected


KEYS = st.binary(min_size=1, max_size=4) | st.text("a\0", min_size=1, max_size=9).map(str.encode)


@given(st.lists(st.tuples(KEYS, KEYS), min_size=1))
def test_padded_keys_are_told_apart_by_zero_bytes_at_their_ends(pairs: list[tuple[bytes, bytes]]) -> None:
    """The other keys are longer than a row, or are followed by anything."""
    ours = PaddedKeys.of([key for key, _ in pairs])
    assert ours is not None
    assert ours.tolist() == [key for key, _ in pairs]
    content = b"".join(other.ljust(ours.width, b"a")[: ours.width] for _, other in pairs)
    lengths = np.array([len(other) for _, other in pairs])
    others = PaddedKeys.begun_by(np.frombuffer(bytearray(content), f"V{ours.width}"), lengths)
    found = ours.are(others)
    expected = [key == other for key, other in pairs]
    assert (found is None) == all(expected)
    assert found is None or found.tolist() == expected
    assert ours.are(ours) is None


@given(st.lists(KEYS, min_size=1))
def test_the_beginnings_of_keys_are_those_of_the_keys(keys: list[bytes]) -> None:
    row = np.dtype("S3")
    expected = np.array(keys, row).tolist()
    for wanted in (Wanted.of(keys), Wanted(keys, digests_of(keys))):
        assert wanted.beginnings(row).tolist() == expected
