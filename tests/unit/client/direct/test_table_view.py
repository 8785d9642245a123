"""A view of tables shows one moment of a range, page by page, and shares nothing with other readers of the tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shardstore.client.calls.calls import Page, ScanPage
from shardstore.client.direct.table_view import TableView
from shardstore.errors import Corruption
from shardstore.identifiers import TOMBSTONE, Stored
from shardstore.key_range import EVERYTHING, KeyRange
from shardstore.limits import KIB, SECOND_NS
from shardstore.tables import deleted_keys, scan_page
from shardstore.tables.empty_ranges import EmptyRanges
from shardstore.tables.lazy_items import LazyItems
from shardstore.tables.table_format import HEADER_BYTES, Identity
from shardstore.tables.table_reader import Table
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.table_samples import STORE, empty_filesystem, write

OLD: dict[bytes, Stored] = {b"k%03d" % number: b"old" for number in range(100)}
NEW: dict[bytes, Stored] = {b"k%03d" % number: TOMBSTONE if number % 2 else b"newer" for number in range(20, 40)}
LIVING = {key: value for key, value in (OLD | NEW).items() if value is not TOMBSTONE}


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_page, "SCAN_PAGE_ENTRIES", 7)
    monkeypatch.setattr(scan_page, "STRETCH_ENTRIES_MIN", 1)
    monkeypatch.setattr(deleted_keys, "PASSED_ENTRIES_MIN", 2)
    monkeypatch.setattr(deleted_keys, "PASSED_ENTRIES_MAX", 4)


@pytest.fixture
def filesystem() -> FaultyFilesystem:
    return empty_filesystem()


def tables_of(filesystem: FaultyFilesystem, *oldest_to_newest: dict[bytes, Stored]) -> list[Table]:
    tables = []
    for number, entries in enumerate(oldest_to_newest, 1):
        identity = Identity(STORE, 7, number)
        tables.append(Table.open(filesystem, identity, write(filesystem, entries, identity)))
    return tables


def view_of(tables: list[Table], owned: KeyRange = EVERYTHING, entry_bytes: int = 7) -> TableView:
    return TableView(owned, tables, len(tables), entry_bytes, EmptyRanges())


def asked(start: bytes = b"", end: bytes = b"", reverse: bool = False, limit: int = 0) -> ScanPage:
    return ScanPage(SECOND_NS, start, end, reverse, False, limit)


def pages_of(view: TableView, call: ScanPage) -> Iterator[Page]:
    """The pages from this one on, up to the end of the range."""
    while True:
        page = view.page(call)
        yield page
        if not page.more:
            return
        assert page.view is view
        assert page.rest is not None
        call.start, call.end = page.rest


@pytest.mark.parametrize("reverse", [False, True])
def test_its_pages_join_to_all_that_has_a_value(filesystem: FaultyFilesystem, reverse: bool) -> None:
    pages = list(pages_of(view_of(tables_of(filesystem, OLD, NEW)), asked(reverse=reverse)))
    assert max(len(page.keys) for page in pages) == 7
    shown = [entry for page in pages for entry in sorted(zip(page.keys, page.values, strict=True), reverse=reverse)]
    assert shown == sorted(LIVING.items(), reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_it_ends_with_its_range_and_leaves_the_rest(filesystem: FaultyFilesystem, reverse: bool) -> None:
    view = view_of(tables_of(filesystem, OLD), KeyRange(b"k030", b"k033"))
    page = view.page(asked(b"k010", b"k090", reverse))
    assert page.keys == [b"k030", b"k031", b"k032"]
    assert (page.more, page.view) == (False, None)
    assert page.rest == ((b"k010", b"k030") if reverse else (b"k033", b"k090"))


def test_it_goes_on_when_the_files_are_removed(filesystem: FaultyFilesystem) -> None:
    tables = tables_of(filesystem, OLD, NEW)
    pages = pages_of(view_of(tables), asked())
    keys = next(pages).keys
    for number in (1, 2):
        filesystem.remove(Identity(STORE, 7, number).path)
    assert [*keys, *(key for page in pages for key in page.keys)] == sorted(LIVING)


@pytest.mark.parametrize("reverse", [False, True])
def test_large_values_are_cut_when_they_are_read_and_a_page_has_more_of_them(
    filesystem: FaultyFilesystem, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_page, "SCAN_PAGE_ENTRIES", 700)
    large: dict[bytes, Stored] = {b"k%03d" % number: b"%03d" % number * KIB for number in range(700)}
    tables = tables_of(filesystem, large)
    pages = list(pages_of(view_of(tables, entry_bytes=3 * KIB), asked(reverse=reverse)))
    assert [len(page.keys) for page in pages] == [700]
    assert len(view_of(tables, entry_bytes=KIB - 1).page(asked(reverse=reverse)).keys) < 700
    filesystem.remove(Identity(STORE, 7, 1).path)
    assert isinstance(pages[0].values, LazyItems)
    assert dict(zip(pages[0].keys, pages[0].values, strict=True)) == large


def test_one_that_is_apart_reads_with_readers_of_its_own(filesystem: FaultyFilesystem) -> None:
    """So no lock is needed, and what happens to the readers of others does not matter."""
    tables = tables_of(filesystem, OLD, NEW)
    apart = view_of(tables).apart()
    assert [key for page in pages_of(apart, asked()) for key in page.keys] == sorted(LIVING)
    assert [table.readers for table in tables] == [None, None]


def test_the_next_scan_of_the_tables_begins_behind_keys_without_a_value(filesystem: FaultyFilesystem) -> None:
    deleted: dict[bytes, Stored] = dict.fromkeys(list(OLD)[:60], TOMBSTONE)
    view = view_of(tables_of(filesystem, OLD, deleted))
    first = view.apart().page(asked())
    assert (first.keys, first.more) == ([], True), "one page does not skip all of them"
    assert sum(not page.keys for page in pages_of(view.apart(), asked())) > 1
    assert view.page(asked()).keys[0] == b"k060"


def test_damage_is_an_error_and_never_a_gap(filesystem: FaultyFilesystem) -> None:
    identity = Identity(STORE, 7, 1)
    record = write(filesystem, OLD, identity)
    damaged = bytearray(filesystem.content(identity.path))
    damaged[HEADER_BYTES + 5] ^= 1
    filesystem.place(identity.path, bytes(damaged))
    view = view_of([Table.open(filesystem, identity, record)])
    with pytest.raises(Corruption, match="block 0"):
        view.page(asked())
