"""Tombstones are kept exactly as long as an older table may hold their key."""

from __future__ import annotations

import numpy as np
import pytest

from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.tables.column_items import as_list
from shardstore.tables.table_format import Entries, FixedItems, Identity
from shardstore.tables.table_reader import Table
from shardstore.workers.segment.tombstones import may_hold, without_needless_tombstones
from tests.unit.table_samples import STORE, empty_filesystem, write


def tables_of(*contents: dict[bytes, Stored]) -> list[Table]:
    filesystem = empty_filesystem()
    identities = [Identity(STORE, 7, number) for number in range(1, len(contents) + 1)]
    records = [write(filesystem, content, identity) for content, identity in zip(contents, identities, strict=True)]
    return [Table.open(filesystem, identity, record) for identity, record in zip(identities, records, strict=True)]


def left_of(entries: dict[bytes, Stored], older: list[Table]) -> dict[bytes, Stored]:
    keys, values = without_needless_tombstones(Entries(list(entries), list(entries.values())), older)
    return dict(zip(as_list(keys), as_list(values), strict=True))  # type: ignore[arg-type]


EVEN: dict[bytes, Stored] = {b"key-%05d" % number: b"v" for number in range(0, 4000, 2)}
FAR: dict[bytes, Stored] = {b"x": b"v", b"y": TOMBSTONE}


@pytest.mark.fault("G9")
def test_a_table_that_holds_the_key_keeps_the_tombstone() -> None:
    older = tables_of(EVEN, FAR)
    deleted = dict.fromkeys(EVEN, TOMBSTONE)
    assert left_of(deleted, older) == deleted
    assert left_of({b"x": TOMBSTONE, b"y": TOMBSTONE}, older) == {b"x": TOMBSTONE, b"y": TOMBSTONE}, "a tombstone too"


def test_outside_the_key_intervals_none_is_kept_without_a_look_at_filters() -> None:
    older = tables_of(EVEN, FAR)
    for table in older:
        table.may_contain = None  # type: ignore[method-assign, assignment]  # would raise
    assert left_of({b"a": TOMBSTONE, b"w": TOMBSTONE, b"z": b"value"}, older) == {b"z": b"value"}


def test_inside_the_interval_the_filter_decides() -> None:
    older = tables_of(EVEN)
    odd: dict[bytes, Stored] = {b"key-%05d" % number: TOMBSTONE for number in range(1, 3999, 2)}
    kept = left_of(odd, older)
    assert len(kept) < len(odd) * 0.03, "a filter takes about one key of a hundred for present"
    may = may_hold(older, list(odd))
    assert list(kept) == [key for key, held in zip(odd, may.tolist(), strict=True) if held]


def test_without_older_tables_every_tombstone_goes_and_no_value_does() -> None:
    entries: dict[bytes, Stored] = {b"a": b"1", b"b": TOMBSTONE, b"c": b"", b"d": TOMBSTONE}
    assert left_of(entries, []) == {b"a": b"1", b"c": b""}
    assert left_of({b"b": TOMBSTONE}, []) == {}


def test_arrays_of_values_have_no_tombstones_and_arrays_of_keys_stay_arrays() -> None:
    keys: FixedItems = np.frombuffer(b"abc", "V1")
    fixed = Entries(keys, np.frombuffer(b"123", "V1"))
    assert without_needless_tombstones(fixed, []) is fixed
    left = without_needless_tombstones(Entries(keys, [b"1", TOMBSTONE, b"3"]), [])
    assert isinstance(left.keys, np.ndarray)
    assert (left.keys.tolist(), left.values) == ([b"a", b"c"], [b"1", b"3"])
