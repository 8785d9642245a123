"""The tables of a range as a scan reads them: page by page, without the worker."""

from __future__ import annotations

from collections.abc import Sequence

from shardstore.client.calls.calls import Page, ScanPage
from shardstore.client.calls.pages import page_of
from shardstore.key_range import KeyRange
from shardstore.limits import MIB, SCAN_PAGE_BYTES
from shardstore.tables.cache import SegmentCache
from shardstore.tables.empty_ranges import EmptyRanges
from shardstore.tables.lazy_items import LAZY_BYTES_MIN
from shardstore.tables.scan_page import NOTHING, EncodedPage, ValueItems, scan_page_and_values
from shardstore.tables.segment import StoredLayer

READERS_BYTES = 16 * MIB
"""Memory for the indexes of the tables that a scan has to itself."""
LAZY_PAGE_BYTES = 4 * SCAN_PAGE_BYTES
"""Size of a page of large entries: it takes little memory, as their values are cut when they are read."""


class TableView:
    """A range whose tables hold all its entries, of which none expires. It stays as it is: nothing changes a table, not
    even its removal.

    `tables` is their number, `entry_bytes` the mean size of an entry. `empty`: the keys that are known to have no value
    in these tables.
    """

    def __init__(
        self, owned: KeyRange, layers: Sequence[StoredLayer], tables: int, entry_bytes: int, empty: EmptyRanges
    ) -> None:
        self.tables = tables
        self._entry_bytes = entry_bytes
        self._owned = owned
        self._layers = layers
        self._empty = empty

    def apart(self) -> TableView:
        """Return a view of the same tables that shares no reader with others: it needs no lock, and outlives them."""
        cache = SegmentCache(READERS_BYTES)
        layers = [layer.apart(cache) for layer in self._layers]
        return TableView(self._owned, layers, self.tables, self._entry_bytes, self._empty)

    def page(self, call: ScanPage) -> Page:
        """Return the first page of the keys that the call wants, of those in the range. Raises Corruption."""
        wanted = KeyRange(call.start, call.end).intersection(self._owned)
        if wanted is not None:
            wanted = self._empty.left_of(wanted, call.reverse)
        page: EncodedPage = NOTHING
        values: ValueItems = list
        if wanted is not None:
            size = SCAN_PAGE_BYTES if self._entry_bytes < LAZY_BYTES_MIN else LAZY_PAGE_BYTES
            page, values = scan_page_and_values(self._layers, wanted, call.reverse, call.limit, size, 0)
        if page.passed is not None:
            self._empty.note(page.passed)
        shown = page_of(call, self._owned, page.keys, values, page.entries, page.resume)
        return shown._replace(view=self) if shown.more else shown
