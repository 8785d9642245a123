"""The segments that a client has open. Those that were not read for the longest time are closed first.

Reads that find everything ready do not come here. So a segment that was read since the last pass gets a second chance,
as in tables/cache.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from shardstore.errors import Corruption
from shardstore.files import file_names
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.cache import SegmentCache
from shardstore.tables.manifest import read_manifest
from shardstore.tables.segment import Segment


class OpenFiles:
    """The open segments of one store, with at most `tables_max` tables, unless one segment alone has more.

    An open table takes a descriptor and a mapping; the cache bounds the memory for reading them.
    """

    def __init__(self, filesystem: Filesystem, store: str, memory_bytes: int, tables_max: int) -> None:
        self._filesystem = filesystem
        self._store = store
        self._cache = SegmentCache(memory_bytes)
        self._tables_max = tables_max
        self._segments: OrderedDict[int, Segment] = OrderedDict()

    def __iter__(self) -> Iterator[int]:
        return iter(self._segments)

    def version(self, segment: int) -> int:
        """Return the version of a segment that is open; 0 if none is."""
        found = self._segments.get(segment)
        return found.manifest.version if found else 0

    def segment(self, segment: int, version: int) -> Segment:
        """Return a segment of at least this version. Raises Corruption, StorageFailure, FileNotFoundError."""
        found = self._segments.get(segment)
        is_new = found is None or found.manifest.version < version
        if found is None:
            found = self._segments[segment] = Segment.open(self._filesystem, self._store, segment, self._cache)
        elif is_new:
            manifest = read_manifest(self._filesystem, self._store, segment)
            if manifest.version < found.manifest.version:
                raise Corruption(file_names.manifest(segment), 0, "an older version than was here before")
            found.replace(manifest)
        found.was_read = True
        self._segments.move_to_end(segment)
        if is_new:
            self._close_some()
        return found

    def close(self, segment: int) -> None:
        """Let go of the files of a segment."""
        found = self._segments.pop(segment, None)
        if found is not None:
            found.close()

    def _close_some(self) -> None:
        """Close those that were not read for the longest time, until the rest is within the limit."""
        tables = sum([each.tables for each in self._segments.values()])
        while tables > self._tables_max and len(self._segments) > 1:
            segment, oldest = next(iter(self._segments.items()))
            if oldest.was_read:
                oldest.was_read = False
                self._segments.move_to_end(segment)
            else:
                self.close(segment)
                tables -= oldest.tables
