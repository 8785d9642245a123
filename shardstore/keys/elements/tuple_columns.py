"""Many tuple keys at once, column by column. Both functions return None for keys that are to be taken one by one.

What makes a key rare (a zero byte in a string, an int above 64 bits, None) costs its column the speed, not the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardstore.keys.elements.batch import EncodedKeys, Places
from shardstore.keys.elements.codes import NULL
from shardstore.keys.elements.element import Element, Malformed, Mismatch
from shardstore.keys.elements.tuple_form import AnyKey, TupleForm, element_at, element_of
from shardstore.lazy_numpy import np


def encode_columns(form: TupleForm, keys: Sequence[AnyKey]) -> list[bytes] | None:
    """Return the bytes of all keys; None if one of them is wrong, or their lengths differ."""
    if not all(issubclass(kind, tuple) for kind in set(map(type, keys))):
        return None
    lengths = set(map(len, keys))
    if len(lengths) > 1 or form.length not in (None, *lengths):
        return None
    try:
        columns = [_encode_column(form, position, column) for position, column in enumerate(zip(*keys, strict=True))]
    except Mismatch:
        return None
    return list(map(b"".join, zip(*columns, strict=True))) if columns else [b""] * len(keys)


def _encode_column(form: TupleForm, position: int, column: Sequence[Any]) -> list[bytes]:
    kinds = set(map(type, column))
    if len(kinds) == 1:
        element = form.element_for(position, kinds.pop())
        if element is not None:
            return element.encode_column(column)
    return [element_of(form, position, value) for value in column]


def decode_columns(form: TupleForm, keys: Sequence[bytes]) -> list[AnyKey] | None:
    """Return the keys with these bytes; None if one is damaged, or they differ in their lengths."""
    batch = EncodedKeys(keys)
    places = batch.starts
    columns: list[list[Any]] = []
    while (places < batch.ends).all():
        try:
            column, places = _decode_column(form, len(columns), batch, places)
        except Malformed:
            return None
        columns.append(column)
    if (places != batch.ends).any() or form.length not in (None, len(columns)):
        return None
    return list(zip(*columns, strict=True)) if columns else [()] * len(keys)


def _decode_column(form: TupleForm, position: int, batch: EncodedKeys, places: Places) -> tuple[list[Any], Places]:
    element = _common_element(form, position, batch, places)
    if element is not None:
        return element.decode_column(batch, places)
    ends = batch.ends.tolist()
    read = [element_at(form, position, batch.data, at, end) for at, end in zip(places.tolist(), ends, strict=True)]
    return [value for value, _ in read], np.array([after for _, after in read], dtype=np.int64)


def _common_element(form: TupleForm, position: int, batch: EncodedKeys, places: Places) -> Element[Any] | None:
    """The element that all keys have at a position; None if they differ there, or one has None there."""
    codes = np.flatnonzero(np.bincount(batch.codes(places))).tolist()
    if NULL[0] in codes:
        return None
    elements = [form.element_with(position, code) for code in codes]
    return elements[0] if all(element is elements[0] for element in elements) else None
