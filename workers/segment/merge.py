"""Merging of columns of entries: sorted by key, and of equal keys the newest entry wins.

Keys of one length are ordered as columns of integers, others in a dictionary; both ways give the same entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from shardstore.identifiers import Stored
from shardstore.workers.segment.column_writer import as_list
from shardstore.workers.segment.table_format import Entries, FixedItems, Integers, Values

_WORD_BYTES = 8


def merge(oldest_to_newest: Sequence[Entries]) -> Entries:
    """The entries of all sources, which need not be sorted, in key order. At least one source."""
    key_columns, value_columns = zip(*oldest_to_newest, strict=True)
    if not _are_one_layout(key_columns):
        return _merge_in_a_dictionary(oldest_to_newest)
    keys = np.concatenate(key_columns)
    kept = _newest_in_key_order(keys)
    return Entries(keys[kept], _taken(value_columns, kept))


def joined(columns: Sequence[Entries]) -> Entries:
    """The entries of all columns one after the other."""
    key_columns, value_columns = zip(*columns, strict=True)
    return Entries(_joined_items(key_columns), _joined_items(value_columns))


def _are_one_layout(columns: Sequence[object]) -> bool:
    """Whether all are arrays of items of one length."""
    return all(isinstance(column, np.ndarray) and column.dtype == columns[0].dtype for column in columns)  # type: ignore[attr-defined]


def _merge_in_a_dictionary(oldest_to_newest: Sequence[Entries]) -> Entries:
    entries: dict[bytes, Stored] = {}
    for keys, values in oldest_to_newest:
        entries.update(zip(as_list(keys), as_list(values), strict=True))  # type: ignore[arg-type]
    ordered = sorted(entries)
    return Entries(ordered, list(map(entries.__getitem__, ordered)))


def _joined_items(columns: Sequence[Any]) -> Any:
    if len(columns) == 1:
        return columns[0]
    return np.concatenate(columns) if _are_one_layout(columns) else list(chain.from_iterable(map(as_list, columns)))


def _taken(columns: Sequence[Values], kept: Integers) -> Values:
    """The items of the joined columns at these places."""
    items: Values = _joined_items(columns)
    return items[kept] if isinstance(items, np.ndarray) else list(map(items.__getitem__, kept.tolist()))


def _newest_in_key_order(keys: FixedItems) -> Integers:
    """Places of the keys in order; of equal keys only the last."""
    words = _words_that_order(keys)
    order = _order(words)
    ordered = words[order]
    is_last_of_equals = np.ones(len(order), dtype=np.bool_)
    is_last_of_equals[:-1] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return order[is_last_of_equals]


def _words_that_order(keys: FixedItems) -> npt.NDArray[np.uint64]:
    """The keys as rows of integers that order as the bytes do. What all keys begin with is left out."""
    rows = np.frombuffer(keys.tobytes(), dtype=np.uint8).reshape(len(keys), keys.itemsize)
    differs = np.flatnonzero((rows != rows[0]).any(axis=0))
    rest = rows[:, differs[0] : differs[-1] + 1] if len(differs) else rows[:, :1]
    padded = np.zeros((len(keys), -(-rest.shape[1] // _WORD_BYTES) * _WORD_BYTES), dtype=np.uint8)
    padded[:, : rest.shape[1]] = rest
    return padded.view(">u8").astype(np.uint64)


def _order(words: npt.NDArray[np.uint64]) -> Integers:
    """Where each row of the sorted rows is taken from; equal rows stay in order.

    The first word orders most rows, by the fastest sort there is, which leaves equals in any order. Only rows that have
    equals are compared by the other words and, at last, by where they were.
    """
    order = np.argsort(words[:, 0])
    ordered = words[order, 0]
    equals_next = np.zeros(len(order) + 1, dtype=np.bool_)
    equals_next[1:-1] = ordered[1:] == ordered[:-1]
    tied = equals_next[1:] | equals_next[:-1]
    if tied.any():
        rows = order[tied]
        order[tied] = rows[np.lexsort((rows, *words[rows].T[::-1]))]
    return order
