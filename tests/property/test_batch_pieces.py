"""Cutting any batch at any boundaries equals bisecting key by key, and keeps the order of equal keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.client.calls import batch_pieces
from tests.unit.client.calls.test_batch_pieces import check

# An alphabet of few letters, with the lowest and the highest, makes shared prefixes, ties and padding zeros likely.
LETTERS = st.sampled_from(b"\x00\x00a\xff")


def _bytes(shortest: int, longest: int) -> st.SearchStrategy[bytes]:
    return st.lists(LETTERS, min_size=shortest, max_size=longest).map(bytes)


STARTS = st.lists(_bytes(1, 12), max_size=12, unique=True).map(sorted)
KEYS = st.one_of(
    st.lists(_bytes(1, 12), min_size=1, max_size=60),
    st.integers(1, 12).flatmap(lambda width: st.lists(_bytes(width, width), min_size=1, max_size=60)),
)


@given(KEYS, STARTS, st.sampled_from([1, 1_000]))
def test_keys_are_cut_as_bisect_would(keys: list[bytes], starts: list[bytes], compared_keys: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(batch_pieces, "COMPARED_KEYS", compared_keys)
        check(keys, None, starts)


@given(KEYS, STARTS, st.booleans())
def test_pairs_stay_together(keys: list[bytes], starts: list[bytes], fixed: bool) -> None:
    values = [str(at).encode() if not fixed else at.to_bytes(2, "big") for at in range(len(keys))]
    check(keys, values, starts)
