"""Prefixes that are kept together: which may be, and what splits see of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.errors import InvalidRequest
from shardstore.limits import TOGETHER_BYTES_MAX, TOGETHER_MAX
from shardstore.router.policies import together as module
from shardstore.router.policies.together import are_kept, for_splits, prefix_around, start_within, with_prefix

KEYS = st.binary(min_size=1, max_size=4).map(lambda key: bytes(byte % 3 for byte in key))
PREFIXES = (b"c", b"m", b"\xff\xff\x01")


def apart(prefixes: list[bytes]) -> list[bytes]:
    """Those that no other one begins."""
    return sorted({one for one in prefixes if not any(one != other and one.startswith(other) for other in prefixes)})


@given(st.lists(KEYS), KEYS)
def test_a_prefix_is_found_around_the_keys_that_it_begins(prefixes: list[bytes], key: bytes) -> None:
    kept = apart(prefixes)
    around = [prefix for prefix in kept if key.startswith(prefix) and key != prefix]
    assert prefix_around(kept, key) == (around[0] if around else None)


@given(st.lists(KEYS), KEYS)
def test_a_start_within_a_prefix_is_found(starts: list[bytes], prefix: bytes) -> None:
    within = [start for start in sorted(starts) if start.startswith(prefix) and start != prefix]
    assert start_within(sorted(starts), prefix) == (within[0] if within else None)


@given(st.lists(KEYS), st.lists(KEYS), KEYS)
def test_a_prefix_is_kept_only_if_nothing_is_in_its_way(starts: list[bytes], prefixes: list[bytes], new: bytes) -> None:
    starts = sorted(starts)
    kept = [prefix for prefix in apart(prefixes) if start_within(starts, prefix) is None]
    others = [prefix for prefix in kept if prefix != new]
    free = start_within(starts, new) is None
    alone = not any(new.startswith(other) or other.startswith(new) for other in others)
    if new in kept or (free and alone):
        assert with_prefix(kept, new, starts) == tuple(sorted({*kept, new}))
        assert are_kept(with_prefix(kept, new, starts), starts)
    else:
        with pytest.raises(InvalidRequest):
            with_prefix(kept, new, starts)


@pytest.mark.parametrize(
    ("prefix", "starts", "text"),
    [
        (b"", (), "has 1 to 16 bytes, not 0"),
        (bytes(TOGETHER_BYTES_MAX + 1), (), "has 1 to 16 bytes, not 17"),
        (b"a", (b"", b"ab"), r"a range begins at b'ab', so the keys .* b'a' cannot .*: merge the ranges there first"),
        (b"ca", (b"",), "begins another one that is kept together, or begins with it"),
        (b"\xff", (b"",), "begins another one that is kept together, or begins with it"),
    ],
)
def test_what_is_refused_is_told(prefix: bytes, starts: tuple[bytes, ...], text: str) -> None:
    with pytest.raises(InvalidRequest, match=text):
        with_prefix(PREFIXES, prefix, starts)


def test_the_number_of_prefixes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TOGETHER_MAX > 3
    monkeypatch.setattr(module, "TOGETHER_MAX", 3)
    assert with_prefix(PREFIXES, b"m", (b"",)) == PREFIXES
    with pytest.raises(InvalidRequest, match="keeps at most 3 spaces together"):
        with_prefix(PREFIXES, b"n", (b"",))


def test_for_splits_all_keys_within_a_prefix_are_one() -> None:
    keys = [b"b", b"c", b"cat", b"d", b"my", b"\xff\xff\x01\x00", b"\xff\xff\x02"]
    assert for_splits(PREFIXES, keys) == [b"b", b"c", b"c", b"d", b"m", b"\xff\xff\x01", b"\xff\xff\x02"]
    assert for_splits((), keys) is keys
