"""An open segment: its manifest and the tables that it names, opened when first needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import compress, repeat
from operator import is_

from shardstore import file_names
from shardstore.filesystem import Filesystem
from shardstore.identifiers import Stored
from shardstore.key_range import KeyRange
from workers.segment.digests import digest_of, digests_of
from workers.segment.manifest import Manifest, new_manifest, publish_manifest, read_manifest
from workers.segment.table_format import Identity, TableRecord
from workers.segment.table_reader import FEW_KEYS, Table


class Segment:
    """The stable storage of one range.

    `manifest` is the version that is served; `tables` counts its tables, `bytes` and `entries` what is in them
    (tombstones and entries that a newer table hides among them).
    """

    def __init__(self, filesystem: Filesystem, manifest: Manifest) -> None:
        self._filesystem = filesystem
        self._open: dict[int, Table] = {}
        self._serve(manifest)

    @classmethod
    def create(cls, filesystem: Filesystem, store: str, segment: int, key_range: KeyRange, epoch: int) -> Segment:
        """A new, empty segment, durable."""
        filesystem.make_directory(file_names.segment_directory(segment))
        manifest = new_manifest(store, segment, key_range, epoch)
        publish_manifest(filesystem, manifest)
        return cls(filesystem, manifest)

    @classmethod
    def open(cls, filesystem: Filesystem, store: str, segment: int) -> Segment:
        """The segment as it was published last. Raises FileNotFoundError, Corruption.

        The name of the manifest may not be durable yet when a process died between its rename and the sync of the
        directory. Log files are released on the strength of it, so it is made durable now.
        """
        manifest = read_manifest(filesystem, store, segment)
        filesystem.sync_directory(file_names.segment_directory(segment))
        return cls(filesystem, manifest)

    def layers(self) -> list[Table]:
        """The tables from the oldest to the newest. Raises Corruption."""
        return [self._table(record) for record in self.manifest.tables]

    def only_table(self) -> Table | None:
        """The table, when there is no other. Raises Corruption."""
        return self._table(self.manifest.tables[0]) if len(self.manifest.tables) == 1 else None

    def get_many(self, keys: Sequence[bytes]) -> list[Stored | None]:
        """What the newest table that knows the key holds for it; None for nothing. Raises Corruption."""
        if len(keys) <= FEW_KEYS:
            return list(map(self._get, keys))
        if not self.manifest.tables:
            return [None] * len(keys)
        if table := self.only_table():
            return table.find(keys, digests_of(keys))
        found: list[Stored | None] = [None] * len(keys)
        places: Sequence[int] = range(len(keys))
        digests = digests_of(keys)
        for table in reversed(self.layers()):
            answers = table.find(keys, digests)
            deque(map(found.__setitem__, places, answers), maxlen=0)
            missing = list(map(is_, answers, repeat(None)))
            if not any(missing):
                break
            if not all(missing):
                keys, places = list(compress(keys, missing)), list(compress(places, missing))
                digests = digests[missing]
        return found

    def replace(self, manifest: Manifest) -> list[str]:
        """Serve this version from now on. Answers the paths of tables that it does not name any more."""
        assert manifest.segment == self.manifest.segment
        assert manifest.version >= self.manifest.version
        live = {record.number for record in manifest.tables}
        obsolete = [record.number for record in self.manifest.tables if record.number not in live]
        self._serve(manifest)
        self._open = {number: table for number, table in self._open.items() if number in live}
        return [file_names.table_file(manifest.segment, number) for number in obsolete]

    def remove_orphans(self) -> None:
        """Remove every file of the segment that the manifest does not name. Not while a job of the segment runs."""
        live = {file_names.table_file(self.manifest.segment, record.number) for record in self.manifest.tables}
        live.add(file_names.manifest(self.manifest.segment))
        directory = file_names.segment_directory(self.manifest.segment)
        for name in self._filesystem.list_directory(directory):
            path = f"{directory}/{name}"
            if path not in live:
                self._filesystem.remove(path)

    def _serve(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.tables = len(manifest.tables)
        self.entries = sum(record.entries for record in manifest.tables)
        self.bytes = sum(record.file_bytes for record in manifest.tables)

    def _table(self, record: TableRecord) -> Table:
        table = self._open.get(record.number)
        if table is None:
            identity = Identity(self.manifest.store, self.manifest.segment, record.number)
            table = self._open[record.number] = Table(self._filesystem, identity, record)
        return table

    def _get(self, key: bytes) -> Stored | None:
        digest = digest_of(key)
        for record in reversed(self.manifest.tables):
            found = self._table(record).get(key, digest)
            if found is not None:
                return found
        return None
