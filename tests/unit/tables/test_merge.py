"""Entries of several sources, of keys and values of every layout, are merged in key order, and the newest wins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shardstore.tables.column_items import as_array, as_list
from shardstore.tables.merge import merge_entries
from shardstore.tables.table_format import Entries

SOURCES = st.lists(st.dictionaries(st.binary(min_size=1, max_size=3), st.binary(min_size=4, max_size=4)), min_size=1)


def columns_of(source: dict[bytes, bytes], values_as_array: bool) -> Entries:
    keys, values = list(source), list(source.values())
    return Entries(keys, as_array(values, 4) if values_as_array else values)


def merged(sources: Sequence[dict[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return sorted({key: value for source in sources for key, value in source.items()}.items())


@given(SOURCES, st.lists(st.booleans()))
def test_the_newest_wins_whether_values_are_arrays_or_lists(
    sources: list[dict[bytes, bytes]], as_arrays: list[bool]
) -> None:
    flags = (as_arrays + [True] * len(sources))[: len(sources)]
    keys, values = merge_entries(list(map(columns_of, sources, flags)))
    assert list(zip(as_list(keys), as_list(values), strict=True)) == merged(sources)


def test_values_of_one_length_stay_an_array_though_keys_have_several() -> None:
    sources = [{b"b": b"old.", b"aa": b"kept"}, {b"b": b"new."}]
    keys, values = merge_entries([columns_of(source, True) for source in sources])
    assert (keys, isinstance(values, np.ndarray)) == ([b"aa", b"b"], True)
    assert as_list(values) == [b"kept", b"new."]
