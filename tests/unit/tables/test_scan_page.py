"""Scans of a layer in memory, page by page: complete and in order, however many pieces it has."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from unittest.mock import patch

import pytest

from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.tables import scan_page
from shardstore.tables.scan_page import EncodedPage
from shardstore.wire.columns import decode
from shardstore.workers.overlay import sorted_entries
from shardstore.workers.overlay.active_layer import ActiveLayer

PAGES_MAX = 2_000
VALUES = (b"of this length", b"", b"and of another")


def entries_of(page: EncodedPage, reverse: bool) -> list[tuple[bytes, bytes]]:
    if not page.entries:
        return []
    keys = decode(page.keys.frame, page.keys.fixed, page.entries, 1, 3)
    entries = list(zip(keys, decode(page.values.frame, page.values.fixed, page.entries, 0, 20), strict=True))
    return entries[::-1] if reverse else entries


def scanned(layer: ActiveLayer, wanted: KeyRange, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
    while layer.sort(5) == 5:
        pass
    for _ in range(PAGES_MAX):
        page = scan_page.scan_page([layer], wanted, reverse, False, 1_000, 0)
        yield from entries_of(page, reverse)
        if not page.resume:
            return
        wanted = KeyRange(wanted.start, page.resume) if reverse else KeyRange(page.resume, wanted.end)
    raise AssertionError("the scan does not end")


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [(2, 2), (1, 3)], ids=["keys of one length", "keys of several lengths"])
@pytest.mark.parametrize("seed", range(10))
def test_every_entry_is_found_once(seed: int, lengths: tuple[int, int], reverse: bool) -> None:
    drawn = Random(seed)
    layer, written = ActiveLayer(), dict[bytes, bytes]()
    for lsn in range(1, 400):
        key, value = drawn.randbytes(drawn.randint(*lengths)), drawn.choice(VALUES)
        written[key] = value
        layer.put([key], [value], len(key) + len(value), lsn)
    whole = sorted(written.items(), reverse=reverse)
    with (
        patch.object(sorted_entries, "SORTED_TOGETHER", 10),
        patch.object(sorted_entries, "PIECE_KEYS_MAX", 10),
        patch.object(scan_page, "STRETCH_ENTRIES_MAX", drawn.randint(1, 60)),
    ):
        assert list(scanned(layer, EVERYTHING, reverse)) == whole
        for _ in range(20):
            start, end = sorted(drawn.sample(sorted(written), 2))
            within = [entry for entry in whole if start <= entry[0] < end]
            assert list(scanned(layer, KeyRange(start, end), reverse)) == within
