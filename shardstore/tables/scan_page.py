"""Makes one page of a scan over a range. It is complete up to its resume key, whatever the layers hold.

Where only one layer has entries, they are sent as they are stored. Elsewhere a stretch of the range is taken from all
layers and merged; it is so small that other requests wait only for milliseconds. If it held only deleted keys, the next
ones are skipped without a merge.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, compress
from operator import add
from typing import TypeAlias

import numpy as np

from shardstore.key_range import KeyRange
from shardstore.limits import BLOCK_ENTRIES, SCAN_PAGE_BYTES, SCAN_PAGE_ENTRIES
from shardstore.tables.column_items import as_array, as_list, stride_of_items
from shardstore.tables.deleted_keys import pass_deleted
from shardstore.tables.expired import are_living, bare
from shardstore.tables.merge import joined, merge_entries
from shardstore.tables.stretches import Ordered, before, behind, lone_stretch, stretch_of
from shardstore.tables.table_format import Entries, Keys, Values
from shardstore.wire.columns import Column, encode_variable
from shardstore.wire.expiring_items import encode_items

STRETCH_ENTRIES_MIN = 16
STRETCH_ENTRIES_MAX = 4_096
ALONE_ENTRIES_MIN = 4 * BLOCK_ENTRIES
"""A layer with fewer entries before those of the next layer begin does not get a page of its own."""
ValueItems: TypeAlias = Callable[[], Sequence[bytes]]
_NO_VALUES = Column(b"", True)
"""Stands for the values of a page of keys: any number of empty ones."""


@dataclass(frozen=True, slots=True)
class EncodedPage:
    """Entries in ascending order. `resume` is where the next page begins (forward) or ends (reverse); empty: done.

    `passed` is the part of the range, at its near end, that was skipped because no key in it has a value;
    `passed_entries` is how many entries were looked at for that.
    """

    keys: Column
    values: Column
    entries: int
    resume: bytes
    passed: KeyRange | None = None
    passed_entries: int = 0

    @property
    def payload_bytes(self) -> int:
        """Size of both columns in bytes."""
        return len(self.keys.frame) + len(self.values.frame)


NOTHING = EncodedPage(Column(b"", False), Column(b"", False), 0, b"")


def scan_page(
    oldest_to_newest: Sequence[Ordered],
    wanted: KeyRange,
    reverse: bool,
    keys_only: bool,
    limit: int,
    now_ms: int,
    moments: bool = False,
) -> EncodedPage:
    """Return the next page of the wanted part of a range, with at most `limit` entries (0: as many as fit).

    It has what has not expired by this moment; with `moments`, what is to expire as it is stored.
    """
    return _scan(oldest_to_newest, wanted, reverse, keys_only, limit, SCAN_PAGE_BYTES, now_ms, moments)[0]


def scan_page_and_values(
    oldest_to_newest: Sequence[Ordered],
    wanted: KeyRange,
    reverse: bool,
    limit: int,
    stored_bytes_max: int,
    now_ms: int,
) -> tuple[EncodedPage, ValueItems]:
    """Return the next page of keys, and what gives their values without a column of them.

    Entries that are returned as they are stored have about `stored_bytes_max` bytes.
    """
    return _scan(oldest_to_newest, wanted, reverse, True, limit, stored_bytes_max, now_ms)


def _scan(
    oldest_to_newest: Sequence[Ordered],
    wanted: KeyRange,
    reverse: bool,
    keys_only: bool,
    limit: int,
    bytes_max: int,
    now_ms: int,
    moments: bool = False,
) -> tuple[EncodedPage, ValueItems]:
    entries_max = min(limit or SCAN_PAGE_ENTRIES, SCAN_PAGE_ENTRIES)
    layers = [layer for layer in oldest_to_newest if layer.extent(wanted) is not None]
    stored = _stored_page(layers, wanted, reverse, keys_only, entries_max, bytes_max)
    return stored or _merged_page(layers, wanted, reverse, keys_only, entries_max, now_ms, moments)


def _stored_page(
    layers: Sequence[Ordered], wanted: KeyRange, reverse: bool, keys_only: bool, entries_max: int, bytes_max: int
) -> tuple[EncodedPage, ValueItems] | None:
    """Entries of one layer as they are stored, up to those of another layer; None if that is not worth a page."""
    alone = lone_stretch(layers, wanted, reverse)
    if alone is None:
        return None
    layer, stretch = alone
    if stretch != wanted and not layer.marks(stretch, reverse, ALONE_ENTRIES_MIN, SCAN_PAGE_BYTES):
        return None
    page = layer.page(stretch, reverse, entries_max, bytes_max)
    if page is None:
        return None
    if page.exhausted:
        resume = _resume_at(behind(stretch, wanted, reverse), reverse)
    else:
        resume = _behind_key(page.first_key if reverse else page.last_key, wanted, reverse)
    return EncodedPage(page.keys, _NO_VALUES if keys_only else page.values(), page.entries, resume), page.value_items


def _merged_page(
    layers: Sequence[Ordered],
    wanted: KeyRange,
    reverse: bool,
    keys_only: bool,
    entries_max: int,
    now_ms: int,
    moments: bool,
) -> tuple[EncodedPage, ValueItems]:
    """The entries of a stretch that have values; none if there are more deleted keys than one page skips."""
    passed, looked_at = None, 0
    living, rest = _living_of_stretch(layers, wanted, reverse, entries_max, now_ms, moments)
    if not len(living.keys) and rest:
        left, has_value, looked_at = pass_deleted(layers, rest, reverse, now_ms)
        passed = before(left, wanted, reverse)
        if left is None or not has_value:
            return replace(NOTHING, resume=_resume_at(left, reverse), passed=passed, passed_entries=looked_at), list
        wanted = left
        living, rest = _living_of_stretch(layers, wanted, reverse, entries_max, now_ms, moments)
    resume = _resume_at(rest, reverse)
    near = _near(living, reverse, entries_max)
    page = _page(near, resume, keys_only, moments)
    if page.payload_bytes > SCAN_PAGE_BYTES:
        near = _near(living, reverse, min(entries_max, _fitting(living, reverse)))
        page = _page(near, resume, keys_only, moments)
    if page.entries < len(living.keys):
        farthest = living.keys[-page.entries if reverse else page.entries - 1]
        resume = _behind_key(bytes(farthest), wanted, reverse)
    return replace(page, resume=resume, passed=passed, passed_entries=looked_at), partial(as_list, near.values)  # type: ignore[return-value]


def _living_of_stretch(
    layers: Sequence[Ordered], wanted: KeyRange, reverse: bool, entries_max: int, now_ms: int, moments: bool
) -> tuple[Entries, KeyRange | None]:
    """The entries with values at the near end of the range, and the rest of the range."""
    stretch_entries = min(max(entries_max, STRETCH_ENTRIES_MIN), STRETCH_ENTRIES_MAX)
    stretch = stretch_of(layers, wanted, reverse, stretch_entries, SCAN_PAGE_BYTES)
    merged = _merged([columns for layer in layers if (columns := layer.columns(stretch))])
    may_expire = any(layer.may_expire for layer in layers)
    return _living(merged, may_expire, now_ms, moments), behind(stretch, wanted, reverse)


def _merged(layers: Sequence[Sequence[Entries]]) -> Entries:
    """The columns of all layers, oldest first, merged in key order."""
    if not layers:
        return Entries([], [])
    if len(layers) == len(layers[0]) == 1:
        return _dense(layers[0][0])
    return merge_entries([_dense(joined(columns)) for columns in layers])


def _dense(entries: Entries) -> Entries:
    """The entries, with arrays for items of one length. Arrays are merged and encoded without a step for each item."""
    keys, values = entries
    key_stride, value_stride = stride_of_items(keys), stride_of_items(values)
    return Entries(
        as_array(keys, key_stride) if key_stride else keys,
        as_array(values, value_stride) if value_stride else values,  # type: ignore[arg-type]  # no tombstone has a length
    )


def _living(entries: Entries, may_expire: bool, now_ms: int, moments: bool) -> Entries:
    """The entries that are neither deleted nor expired; with `moments`, as they are stored."""
    keys, values = entries
    if isinstance(values, np.ndarray):
        return entries
    living = are_living(values, may_expire, now_ms)
    if may_expire and not moments:
        return _dense(Entries(_chosen(keys, living), bare(list(compress(values, living)))))
    if all(living):
        return entries
    return Entries(_chosen(keys, living), list(compress(values, living)))


def _chosen(keys: Keys, which: list[bool]) -> Keys:
    return keys[which] if isinstance(keys, np.ndarray) else list(compress(keys, which))


def _near(entries: Entries, reverse: bool, wanted: int) -> Entries:
    """The `wanted` entries at the near end."""
    keys, values = entries
    if wanted >= len(keys):
        return entries
    near = slice(len(keys) - wanted, None) if reverse else slice(wanted)
    return Entries(keys[near], values[near])


def _fitting(entries: Entries, reverse: bool) -> int:
    """How many entries from the near end fit into a page; at least one."""
    sizes = list(map(add, map(len, as_list(entries.keys)), map(len, bare(as_list(entries.values)))))
    return max(1, bisect_right(list(accumulate(reversed(sizes) if reverse else sizes)), SCAN_PAGE_BYTES))


def _page(entries: Entries, resume: bytes, keys_only: bool, moments: bool) -> EncodedPage:
    keys, values = entries
    return EncodedPage(_column(keys), _NO_VALUES if keys_only else _column(values, moments), len(keys), resume)


def _column(items: Keys | Values, moments: bool = False) -> Column:
    """The items as a column of the wire. Items of one length usually are an array already."""
    if isinstance(items, np.ndarray):
        return Column(items.tobytes(), True)
    encoded = encode_items(items) if moments else encode_variable(items)  # type: ignore[arg-type]  # no tombstone is left
    return Column(encoded, False)


def _resume_at(rest: KeyRange | None, reverse: bool) -> bytes:
    """The resume key for the rest of a range; empty if nothing is left."""
    if rest is None:
        return b""
    return rest.end if reverse else rest.start


def _behind_key(key: bytes, wanted: KeyRange, reverse: bool) -> bytes:
    """The resume key after the farthest key of a page; empty if no other key can follow in the range."""
    if reverse:
        return b"" if key == wanted.start else key
    return b"" if key_after(key) == wanted.end else key_after(key)


def key_after(key: bytes) -> bytes:
    """Return the smallest byte string above the key."""
    return key + b"\0"
