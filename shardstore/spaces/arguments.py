"""Arguments as users of dict and SortedDict write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from shardstore.errors import InvalidRequest


def is_last(index: Any) -> bool:
    """Whether an index is that of the last entry; it may be that of the first. Raises InvalidRequest."""
    if index not in (0, -1):
        raise InvalidRequest(f"the index is 0 for the first key, or -1 for the last, not {index!r:.60}")
    return bool(index == -1)


def pairs_of(other: Any, more: Mapping[str, Any]) -> Iterable[tuple[Any, Any]]:
    """The pairs of a mapping, of something with `keys` and `[]`, or of an iterable of pairs, and then some more."""
    if isinstance(other, Mapping):
        pairs: Iterable[Any] = other.items()
    elif hasattr(other, "keys"):
        pairs = ((key, other[key]) for key in other.keys())  # noqa: SIM118  it may be no iterable
    else:
        pairs = iter(other)
    return chain(pairs, more.items())
