"""The checksum of pieces is that of the whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shardstore.checksum import checksum, checksum_of


@given(st.lists(st.binary()), st.integers(0, 2**64 - 1))
def test_pieces_have_the_checksum_of_the_whole(pieces: list[bytes], seed: int) -> None:
    assert checksum_of(map(memoryview, pieces), seed) == checksum(b"".join(pieces), seed)
