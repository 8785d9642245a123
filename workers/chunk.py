"""A stretch of one layer in key order, as scans and compactions take it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add
from typing import Protocol

from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive entries of a layer, ascending. Unless `exhausted`, the layer holds more beyond the far end."""

    keys: Sequence[bytes]
    values: Sequence[Stored]
    exhausted: bool


class Lookup(Protocol):
    """Anything that can be asked for keys."""

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """What is held for each key; None for nothing."""


class Ordered(Protocol):
    """Anything that holds entries in key order."""

    def chunk(self, key_range: KeyRange, reverse: bool, entries_max: int, bytes_max: int) -> Chunk:
        """The first entries of the range, or (`reverse`) the last; at least one if there is one."""


class Layer(Lookup, Ordered, Protocol):
    """One of the layers in which the entries of a range lie."""


def merge(oldest_to_newest: Sequence[Chunk], reverse: bool, bytes_max: int) -> Chunk:
    """One chunk of several layers' chunks over the same range: the newest layer's entry wins.

    It ends where the first layer that has more stopped, since beyond that layer's last key anything may follow; and
    with the entry that fits `bytes_max`, but not before the first.
    """
    entries: dict[bytes, Stored] = {}
    for chunk in oldest_to_newest:
        entries.update(zip(chunk.keys, chunk.values, strict=True))
    keys = sorted(entries)
    unfinished = [chunk for chunk in oldest_to_newest if not chunk.exhausted]
    if unfinished and reverse:
        keys = keys[bisect_left(keys, max(chunk.keys[0] for chunk in unfinished)) :]
    elif unfinished:
        keys = keys[: bisect_right(keys, min(chunk.keys[-1] for chunk in unfinished))]
    values = list(map(entries.__getitem__, keys))
    kept = _entries_within(keys, values, reverse, bytes_max)
    if kept == len(keys):
        return Chunk(keys, values, not unfinished)
    near = slice(len(keys) - kept, None) if reverse else slice(kept)
    return Chunk(keys[near], values[near], False)


def _entries_within(keys: Sequence[bytes], values: Sequence[Stored], reverse: bool, bytes_max: int) -> int:
    """How many entries from the near end have so many bytes, at least one if there is one."""
    if sum(map(len, keys)) + sum(map(len, values)) <= bytes_max:
        return len(keys)
    sizes = list(map(add, map(len, keys), map(len, values)))
    return max(1, bisect_right(list(accumulate(reversed(sizes) if reverse else sizes)), bytes_max))
