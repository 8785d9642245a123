"""An open segment: its manifest, and the layers that the manifest names, opened on first use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from shardstore.files import file_names, formats
from shardstore.identifiers import Stored
from shardstore.seams.filesystem import Filesystem
from shardstore.stats_schema import FileLayerStats
from shardstore.tables.cache import SegmentCache
from shardstore.tables.cut_keys import cut_keys
from shardstore.tables.digests import digest_of
from shardstore.tables.empty_layer import EMPTY_LAYER, EmptyLayer
from shardstore.tables.main import Main
from shardstore.tables.manifest import Manifest, Parts, read_manifest, share_bytes_of
from shardstore.tables.not_ready import NOT_READY, NotReady
from shardstore.tables.open_tables import OpenTables
from shardstore.tables.table_format import TableRecord
from shardstore.tables.table_reader import FEW_KEYS, Table
from shardstore.tables.wanted import Held, Wanted, held_of

StoredLayer: TypeAlias = Table | Main | EmptyLayer


class Segment:
    """The files of one range.

    manifest        the version that is served
    tables          number of its tables
    record_bytes    space that these tables take in the manifest
    entries         entries of the tables; tombstones, expired entries and entries that a newer table hides are included
    bytes           size of the tables' files, counting of a virtual part only its share
    entry_bytes     of `bytes`, the mean for each entry
    delta_bytes     of `bytes`, those of deltas; `main_bytes` and `bottoms_bytes` (oldest first) likewise
    linked_bytes    of `bytes`, those in files that were written under another name
    outside_bytes   the bytes of virtual parts' files that are outside their share
    keys_asked      keys looked up since this version is served
    entries_passed  entries that scans looked at to skip deleted keys, in all layers, since this version is served
    layers_asked    layers in which they were looked up; divided by `keys_asked`, the read amplification
    old_files       of manifest and tables, those of a former format version, by kind
    was_read        whether keys were looked up by `get_ready`, until somebody says no
    """

    def __init__(self, filesystem: Filesystem, manifest: Manifest, cache: SegmentCache | None = None) -> None:
        self._filesystem = filesystem
        self._tables = OpenTables(filesystem, manifest.store, manifest.segment, cache)
        self.was_read = False
        self._layers: list[StoredLayer] = []
        self._serve(manifest)

    @classmethod
    def open(cls, filesystem: Filesystem, store: str, segment: int, cache: SegmentCache | None = None) -> Segment:
        """Open the published version of a segment. Raises FileNotFoundError, Corruption."""
        return cls(filesystem, read_manifest(filesystem, store, segment), cache)

    def layers(self) -> list[StoredLayer]:
        """Return bottom mains, main and deltas, from the oldest to the newest. Raises Corruption."""
        return self._newest_first()[::-1]

    def table(self, record: TableRecord) -> Table:
        """Return the open table of a record of the manifest. Raises Corruption."""
        return self._tables.table(record)

    def get(self, key: bytes, digest: tuple[int, int]) -> Stored | None:
        """Return what the newest layer that has the key holds; None if no layer has it. Raises Corruption."""
        self.keys_asked += 1
        for layer in self._newest_first():
            self.layers_asked += 1
            found = layer.get(key, digest)
            if found is not None:
                return found
        return None

    def get_ready(self, key: bytes, digest: tuple[int, int]) -> Stored | NotReady | None:
        """Return what `get` returns, for any thread; NOT_READY if something must be opened or loaded first.

        It counts nothing. Raises Corruption.
        """
        layers = self._layers
        if not layers:
            return NOT_READY
        self.was_read = True
        for layer in layers:
            found = layer.get_ready(key, digest)
            if found is not None:
                return found
        return None

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """Return for each key what the newest layer that has it holds; None if no layer has it. Raises Corruption."""
        if len(keys) <= FEW_KEYS:
            return list(map(self.get, keys, map(digest_of, keys)))
        return self.look_up(Wanted.of(keys)).tolist()  # type: ignore[no-any-return]

    def look_up(self, wanted: Wanted) -> Held:
        """Return for each key what the newest layer that has it holds; None if no layer has it. Raises Corruption."""
        count = len(wanted)
        if count <= FEW_KEYS:
            return held_of(list(map(self.get, wanted.as_list(), wanted.digests.tolist())))
        self.keys_asked += count
        found: Held = np.empty(count, object)
        left = places = np.arange(count)
        for layer in self._newest_first():
            if len(left) < len(places):
                wanted, places = wanted.at(left), places[left]
            self.layers_asked += len(places)
            left = layer.fill(found, wanted, places)
            if not len(left):
                break
        return found

    def replace(self, manifest: Manifest) -> list[str]:
        """Serve this version from now on. Returns the paths of the tables that it no longer names."""
        assert manifest.segment == self.manifest.segment
        assert manifest.version >= self.manifest.version
        live = {record.number for record in manifest.tables}
        obsolete = [record.number for record in self.manifest.tables if record.number not in live]
        self._serve(manifest)
        self._tables.keep_only(live)
        return [file_names.table_file(manifest.segment, number) for number in obsolete]

    def note_passed(self, entries: int) -> None:
        """Count entries that were looked at to skip deleted keys."""
        self.entries_passed += entries

    def close(self) -> None:
        """Let go of the tables. Code that still holds one of them can go on reading it."""
        self._layers = []
        self._tables.keep_only(())

    def live_bytes(self) -> int:
        """Estimate the size after a full compaction: that of the largest layer, whose keys the other layers change."""
        layers = [*self.manifest.mains, *((delta,) for delta in self.manifest.deltas)]
        return max(map(share_bytes_of, layers))

    def _blocks_of(self, record: TableRecord) -> list[tuple[bytes, int]]:
        return [(block.first_key, block.file_bytes) for block in self._tables.table(record).blocks()]

    def cut_keys(self, sampled: Iterable[tuple[bytes, int]], pieces: int) -> list[bytes]:
        """Keys that cut the bytes of the tables and of `sampled` into `pieces` equal shares. Raises Corruption."""
        return cut_keys(self.manifest.tables, self._blocks_of, sampled, pieces)

    def expired_by(self, now_ms: int) -> int:
        """Estimate how many entries of the tables have expired."""
        return sum([record.expired_by(now_ms) for record in self.manifest.tables]) if self.expiring else 0

    def statistics(self) -> FileLayerStats:
        """Return statistics of the segment by name; sizes are in bytes."""
        manifest = self.manifest
        return {
            "version": manifest.version,
            "deltas": len(manifest.deltas),
            "delta_bytes": self.delta_bytes,
            "parts": len(manifest.main),
            "main_bytes": self.main_bytes,
            "bottoms": len(manifest.bottoms),
            "bottom_parts": sum(map(len, manifest.bottoms)),
            "bottom_bytes": sum(self.bottoms_bytes),
            "linked_bytes": self.linked_bytes,
            "outside_bytes": self.outside_bytes,
            "tombstones": self.tombstones,
            "expiring": self.expiring,
            "keys_asked": self.keys_asked,
            "layers_asked": self.layers_asked,
            "entries_passed": self.entries_passed,
            "lookups": self._tables.lookups.statistics(),
        }

    def _serve(self, manifest: Manifest) -> None:
        self.manifest = manifest.without_window()
        self.tables = len(manifest.tables)
        self.record_bytes = sum(record.record_bytes for record in manifest.tables)
        self.entries = sum(record.entries for record in manifest.tables)
        self.tombstones = sum(record.tombstones for record in manifest.tables)
        self.expiring = sum(record.expiring for record in manifest.tables)
        self.delta_bytes = share_bytes_of(manifest.deltas)
        self.main_bytes = share_bytes_of(manifest.main)
        self.bottoms_bytes = tuple(map(share_bytes_of, manifest.bottoms))
        self.bytes = self.delta_bytes + self.main_bytes + sum(self.bottoms_bytes)
        self.entry_bytes = self.bytes // max(1, self.entries)
        self.linked_bytes = sum(record.share_bytes for record in manifest.tables if record.is_linked)
        self.outside_bytes = sum(record.outside_bytes for record in manifest.tables)
        self.old_files = {formats.TABLE.kind: manifest.old_tables, formats.MANIFEST.kind: int(manifest.is_old)}
        self.keys_asked = 0
        self.layers_asked = 0
        self.entries_passed = 0
        self._layers = []

    def _newest_first(self) -> list[StoredLayer]:
        """Return all layers; at least one, as an empty main counts. They are opened together, once per version.

        Code that holds them can go on reading after their files are removed.
        """
        if not self._layers:
            oldest_first = [*map(self._layer_of, self.manifest.mains), *map(self._tables.table, self.manifest.deltas)]
            self._layers = oldest_first[::-1]
        return self._layers

    def _layer_of(self, parts: Parts) -> StoredLayer:
        tables = list(map(self._tables.table, parts))
        if not tables:
            return EMPTY_LAYER
        return Main(tables) if len(tables) > 1 else tables[0]
