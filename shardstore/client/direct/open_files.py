"""The segments that a client has open. Those that were not read for the longest time are closed first."""

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
        if found is not None and found.manifest.version >= version:
            self._segments.move_to_end(segment)
            return found
        if found is None:
            found = self._segments[segment] = Segment.open(self._filesystem, self._store, segment, self._cache)
        else:
            manifest = read_manifest(self._filesystem, self._store, segment)
            if manifest.version < found.manifest.version:
                raise Corruption(file_names.manifest(segment), 0, "an older version than was here before")
            found.replace(manifest)
        self._segments.move_to_end(segment)
        tables = sum([each.tables for each in self._segments.values()])
        while tables > self._tables_max and len(self._segments) > 1:
            tables -= self._segments.popitem(last=False)[1].tables
        return found

    def close(self, segment: int) -> None:
        """Let go of the files of a segment."""
        self._segments.pop(segment, None)
