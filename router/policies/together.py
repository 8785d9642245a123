"""Prefixes whose keys are kept together: no range begins within them, so one range has all keys that begin so. Pure.

A prefix is that of a space made with `together=True` (shardstore/spaces/). The router knows it before the first key is
written, and until the space is dropped. No prefix begins another one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from shardstore.errors import InvalidRequest
from shardstore.limits import TOGETHER_BYTES_MAX, TOGETHER_MAX


def prefix_around(together: Sequence[bytes], key: bytes) -> bytes | None:
    """Return the prefix, of these in order, within which a range that starts at the key would begin; None if none."""
    at = bisect_left(together, key) - 1
    return together[at] if at >= 0 and key.startswith(together[at]) else None


def start_within(starts: Sequence[bytes], prefix: bytes) -> bytes | None:
    """Return the first of these starts of ranges, in order, that lies within the prefix; None if none does."""
    at = bisect_right(starts, prefix)
    return starts[at] if at < len(starts) and starts[at].startswith(prefix) else None


def check_splits(together: Sequence[bytes], keys: Sequence[bytes]) -> None:
    """Raise InvalidRequest if a range would begin within a prefix."""
    for key in keys:
        prefix = prefix_around(together, key)
        if prefix is not None:
            raise InvalidRequest(
                f"{key!r:.60} is a key of a space that is kept together: all keys that begin with {prefix!r} stay in "
                "one range"
            )


def with_prefix(together: Sequence[bytes], prefix: bytes, starts: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the prefixes with one more. Raises InvalidRequest if a range begins within it, or it cannot be one."""
    if prefix in together:
        return tuple(together)
    if not 0 < len(prefix) <= TOGETHER_BYTES_MAX:
        raise InvalidRequest(f"a prefix that is kept together has 1 to {TOGETHER_BYTES_MAX} bytes, not {len(prefix)}")
    if len(together) >= TOGETHER_MAX:
        raise InvalidRequest(f"a store keeps at most {TOGETHER_MAX:,} spaces together")
    start = start_within(starts, prefix)
    if start is not None:
        raise InvalidRequest(
            f"a range begins at {start!r:.60}, so the keys that begin with {prefix!r} cannot be kept together: merge "
            "the ranges there first, with `admin.merge`"
        )
    placed = tuple(sorted((*together, prefix)))
    if not are_kept(placed, starts):
        raise InvalidRequest(f"the prefix {prefix!r} begins another one that is kept together, or begins with it")
    return placed


def are_kept(together: Sequence[bytes], starts: Sequence[bytes]) -> bool:
    """Whether these are prefixes in order, of which none begins another, and no range begins within them."""
    apart = all(one < other and not other.startswith(one) for one, other in pairwise(together))
    return apart and all(start_within(starts, prefix) is None for prefix in together)


def for_splits(together: Sequence[bytes], keys: Sequence[bytes]) -> Sequence[bytes]:
    """Return sampled keys as far as splits tell them apart: those within a prefix count as the prefix itself."""
    if not together:
        return keys
    around = (prefix_around(together, key) for key in keys)
    return [key if prefix is None else prefix for key, prefix in zip(keys, around, strict=True)]
