"""Counts the keys that have a value, in steps, without reading values.

Where only one layer has entries and none of them is a tombstone, their number follows from positions. Elsewhere the
keys of a stretch are read from all layers. A key counts in the newest layer that has it, if it has a value there.
These are the different keys without those whose newest entry is a tombstone, or has expired.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

from shardstore.estimate import Estimate
from shardstore.key_range import KeyRange
from shardstore.tables.bloom import Mask
from shardstore.tables.column_items import as_array, as_list, stride_of_items
from shardstore.tables.merge import Words, newest_in_key_order, words_of
from shardstore.tables.stretches import KeysAlone, Measure, Ordered, behind, lone_stretch, stretch_of
from shardstore.tables.table_format import FixedItems

COUNTED_A_STEP = 32_768
"""Keys of all layers together that one step compares: a few milliseconds."""
ANY_BYTES = 2**62


class Counted(NamedTuple):
    """How many keys of a range have a value, up to `left`, the part that is still to be counted; None: nothing."""

    entries: int
    left: KeyRange | None


def count_step(oldest_to_newest: Sequence[Ordered], wanted: KeyRange, now_ms: int) -> Counted:
    """Count keys from the start of a range on, as of this moment."""
    layers = [layer for layer in oldest_to_newest if layer.extent(wanted) is not None]
    alone = lone_stretch(layers, wanted, False)
    if alone is not None:
        layer, stretch = alone
        living = layer.living(stretch)
        if living is not None:
            return Counted(living, behind(stretch, wanted, False))
    stretch = stretch_of(layers, wanted, False, COUNTED_A_STEP, ANY_BYTES)
    keys = [found for layer in layers if (found := layer.keys_alone(stretch, now_ms))]
    return Counted(_living(keys), behind(stretch, wanted, False))


def estimated(oldest_to_newest: Sequence[Ordered], wanted: KeyRange, now_ms: int) -> Estimate:
    """Estimate how many keys of a range have a value at this moment.

    At most, no entry hides another one. At least, no entries hide each other that are of one layer, or in stretches
    without common keys, and each tombstone of a newer layer hides one.
    """
    measures = [measure for layer in oldest_to_newest if (measure := layer.measure(wanted, now_ms)).entries_max]
    most = sum([each.entries_max - each.tombstones_min for each in measures])
    least = sum(map(_least, _apart(measures)))
    middle = (least + most) // 2
    return Estimate(middle, sum([each.bytes for each in measures]), most - middle)


def _least(oldest_to_newest: Sequence[Measure]) -> int:
    """How many keys have a value at least, in layers that may have the same keys."""
    least = tombstones = 0
    for each in reversed(oldest_to_newest):
        tombstones += each.tombstones_max
        least = max(least, each.entries_min - tombstones)
    return least


def _apart(oldest_to_newest: Sequence[Measure]) -> list[list[Measure]]:
    """Groups of layers, oldest first, so that layers of different groups have no common keys."""
    groups: list[list[int]] = []
    end: bytes | None = None
    for at in sorted(range(len(oldest_to_newest)), key=lambda at: oldest_to_newest[at].extent.start):
        extent = oldest_to_newest[at].extent
        if end is None or (end and end <= extent.start):
            groups.append([at])
            end = extent.end
        else:
            groups[-1].append(at)
            end = max(end, extent.end) if end and extent.end else b""
    return [[oldest_to_newest[at] for at in sorted(group)] for group in groups]


def _living(oldest_to_newest: Sequence[Sequence[KeysAlone]]) -> int:
    """How many keys have a value in the newest layer that has them."""
    if len(oldest_to_newest) == 1:
        return sum(map(_count_living, oldest_to_newest[0]))
    layers = list(filter(None, map(_fixed, oldest_to_newest)))
    if len(layers) == len(oldest_to_newest) and len({layer.keys.itemsize for layer in layers}) == 1:
        return _living_of_fixed(layers)
    newest: dict[bytes, bool] = {}
    for keys, living in chain.from_iterable(oldest_to_newest):
        newest.update(zip(as_list(keys), repeat(True) if living is None else living.tolist(), strict=False))
    return sum(newest.values())


def _living_of_fixed(oldest_to_newest: Sequence[_Fixed]) -> int:
    keys = np.concatenate([layer.keys for layer in oldest_to_newest])
    living = np.concatenate([layer.living for layer in oldest_to_newest])
    words, are_whole = words_of(keys)
    if not are_whole:
        return int(np.count_nonzero(living[newest_in_key_order(keys)]))
    ends = np.cumsum([len(layer.keys) for layer in oldest_to_newest])[:-1]
    deleted = 0 if living.all() else _count_deleted(np.split(words, ends), np.split(living, ends))
    words = np.sort(words)
    return 1 + int(np.count_nonzero(words[1:] != words[:-1])) - deleted


def _count_deleted(words: Sequence[Words], living: Sequence[Mask]) -> int:
    """How many keys have no value in the newest layer that has them. Words stand for keys; oldest layer first."""
    deleted = 0
    newer: list[Words] = []
    for of_layer, has_value in zip(reversed(words), reversed(living), strict=True):
        dead = of_layer[~has_value]
        for ordered in newer:
            places = np.searchsorted(ordered, dead)
            places[places == len(ordered)] = 0
            dead = dead[ordered[places] != dead]
        deleted += len(dead)
        newer.append(np.sort(of_layer))
    return deleted


class _Fixed(NamedTuple):
    """The keys of a layer, all of one length, and which of them have a value."""

    keys: FixedItems
    living: Mask


def _count_living(keys: KeysAlone) -> int:
    return len(keys.keys) if keys.living is None else int(np.count_nonzero(keys.living))


def _fixed(pieces: Sequence[KeysAlone]) -> _Fixed | None:
    """The keys of a layer as one array; None if their lengths differ."""
    strides = {stride_of_items(keys) for keys, _ in pieces}
    if len(strides) != 1 or 0 in strides:
        return None
    stride = strides.pop()
    keys = np.concatenate([as_array(keys, stride) for keys, _ in pieces])
    living = [np.ones(len(keys), np.bool_) if living is None else living for keys, living in pieces]
    return _Fixed(keys, np.concatenate(living))
