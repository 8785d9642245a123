"""Merges columns of entries: the result is sorted by key, and the newest of equal keys wins.

Keys of one length are sorted as columns of integers, others with a dictionary; both ways give the same entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from shardstore.identifiers import Stored
from shardstore.tables.column_items import as_list
from shardstore.tables.table_format import Entries, FixedItems, Integers, Keys, Values

Words: TypeAlias = npt.NDArray[np.uint64]
_WORD_BYTES = 8


def merge_entries(oldest_to_newest: Sequence[Entries]) -> Entries:
    """Return the entries of all sources, which need not be sorted, in key order. There must be a source."""
    key_columns, value_columns = zip(*oldest_to_newest, strict=True)
    if not _are_one_layout(key_columns):
        return _merge_in_a_dictionary(key_columns, value_columns)
    keys = np.concatenate(key_columns)
    kept = newest_in_key_order(keys)
    return Entries(keys[kept], _taken(value_columns, kept))


def joined(columns: Sequence[Entries]) -> Entries:
    """Return the entries of all columns, one column after the other."""
    key_columns, value_columns = zip(*columns, strict=True)
    return Entries(_joined_items(key_columns), _joined_items(value_columns))


def words_of(keys: FixedItems) -> tuple[Words, bool]:
    """Return eight bytes of each key, from the first in which any two keys differ, as integers in the same order.

    Returns also whether keys with equal words are equal.
    """
    at = _first_difference(keys)
    return _word(keys, at), at + _WORD_BYTES >= keys.itemsize


def _are_one_layout(columns: Sequence[object]) -> bool:
    """Whether all are arrays of items of one length."""
    return all(isinstance(column, np.ndarray) and column.dtype == columns[0].dtype for column in columns)  # type: ignore[attr-defined]


def _merge_in_a_dictionary(key_columns: Sequence[Keys], value_columns: Sequence[Values]) -> Entries:
    """Values of one length are copied as rows of an array: an object for each would be one copy more."""
    keys = chain.from_iterable(map(as_list, key_columns))
    if _are_one_layout(value_columns):
        place_of = dict(zip(keys, count(), strict=False))
        ordered = sorted(place_of)
        places = np.fromiter(map(place_of.__getitem__, ordered), np.int64, len(ordered))
        return Entries(ordered, _taken(value_columns, places))
    entries: dict[bytes, Stored] = dict(zip(keys, chain.from_iterable(map(as_list, value_columns)), strict=True))
    ordered = sorted(entries)
    return Entries(ordered, list(map(entries.__getitem__, ordered)))


def _joined_items(columns: Sequence[Any]) -> Any:
    if len(columns) == 1:
        return columns[0]
    return np.concatenate(columns) if _are_one_layout(columns) else list(chain.from_iterable(map(as_list, columns)))


def _taken(columns: Sequence[Values], kept: Integers) -> Values:
    """The items of the joined columns at these positions."""
    items: Values = _joined_items(columns)
    return items[kept] if isinstance(items, np.ndarray) else list(map(items.__getitem__, kept.tolist()))


def newest_in_key_order(keys: FixedItems) -> Integers:
    """Return the positions of the keys in key order; of equal keys only the last.

    Most keys are ordered by the first bytes in which keys differ, with numpy's fastest sort, which is not stable. Only
    keys that are equal there are compared as a whole, with a stable sort. (It ignores zeros at the end, which does not
    matter between keys of one length.)
    """
    at = _first_difference(keys)
    first_word = _word(keys, at)
    order = np.argsort(first_word)
    ordered = first_word[order]
    equals_next = np.zeros(len(order) + 1, dtype=np.bool_)
    equals_next[1:-1] = ordered[1:] == ordered[:-1]
    tied = np.flatnonzero(equals_next[1:] | equals_next[:-1])
    if not len(tied):
        return order
    rows = np.sort(order[tied])
    compared = keys[rows].view(f"S{keys.itemsize}")
    ranks = np.argsort(compared, kind="stable")  # sorted sources are quickly merged by it
    order[tied] = rows[ranks]
    ranked = compared[ranks]
    return np.delete(order, tied[:-1][ranked[1:] == ranked[:-1]])


def _first_difference(keys: FixedItems) -> int:
    """Position of the first byte in which any two keys differ; if all are equal, of the last word."""
    for at in range(0, keys.itemsize, _WORD_BYTES):
        word = _word(keys, at)
        differs = int(word.min()) ^ int(word.max())
        if differs:
            return at + _WORD_BYTES - (differs.bit_length() + 7) // 8
    return at


def _word(keys: FixedItems, at: int) -> Words:
    """Eight bytes of each key from position `at` on, as integers in the same order. Zeros follow the last byte."""
    size = keys.itemsize
    last = max(0, size - _WORD_BYTES)
    items = keys if size >= _WORD_BYTES else _padded(keys)
    word = np.ndarray(len(keys), ">u8", items, min(at, last), items.strides[:1]).astype(np.uint64)
    return word << np.uint64(8 * (at - last)) if at > last else word


def _padded(keys: FixedItems) -> npt.NDArray[np.uint8]:
    rows = np.zeros((len(keys), _WORD_BYTES), dtype=np.uint8)
    rows[:, : keys.itemsize] = keys.view(np.uint8).reshape(len(keys), keys.itemsize)
    return rows
