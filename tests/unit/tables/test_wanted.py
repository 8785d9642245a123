"""Keys that are looked up together: cut and compared alike, whether they have one length or several."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.tables.column_items import as_array
from shardstore.tables.digests import digests_of
from shardstore.tables.wanted import Wanted

ONE_LENGTH = [b"%04d" % number for number in range(30)]
MIXED = [b"k" * number for number in range(1, 31)]
COLUMNS = pytest.mark.parametrize("keys", [ONE_LENGTH, MIXED, [b"one"]])


@COLUMNS
def test_a_cut_has_the_keys_and_their_digests(keys: list[bytes]) -> None:
    wanted = Wanted.of(keys)
    places = np.arange(len(keys))[::-2]
    for cut, expected in ((wanted.at(places), keys[::-2]), (wanted.span(0, 20), keys[:20]), (wanted, keys)):
        assert (len(cut), cut.as_list()) == (len(expected), expected)
        assert (cut.digests == digests_of(expected)).all()


def test_keys_of_one_length_are_an_array() -> None:
    assert isinstance(Wanted.of(ONE_LENGTH).keys, np.ndarray)
    assert Wanted.of(MIXED).keys is MIXED


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
