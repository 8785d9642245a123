"""A segment for readers that is quick to open again: files that were read once are known by their content.

It loads the same files at the same moments as the real one, which reads them when their content is new.
"""

from __future__ import annotations

from typing import Any

from shardstore.errors import Corruption
from shardstore.files import file_names
from shardstore.identifiers import Stored
from shardstore.tables.manifest import Manifest, read_manifest
from shardstore.tables.not_ready import NOT_READY, NotReady
from shardstore.tables.segment import Segment
from shardstore.tables.wanted import Held, Wanted, held_of
from tests.interleavings.read_files import KnownFiles, ReadFilesystem

_manifests: dict[bytes, Manifest] = {}
_segments: dict[tuple[object, ...], Answers] = {}


class Answers:
    """What the tables of one version hold. The real segment is asked once for each key."""

    def __init__(self, files: dict[str, bytes], manifest: Manifest) -> None:
        self._segment = Segment(KnownFiles(files), manifest)  # type: ignore[arg-type]
        self._known: dict[bytes, Stored | None] = {}

    def get(self, key: bytes) -> Stored | None:
        """Return what the newest layer that has the key holds."""
        if key not in self._known:
            self._known[key] = self._segment.get_many([key])[0]
        return self._known[key]


def known_manifest(filesystem: ReadFilesystem, store: str, segment: int) -> Manifest:
    """Like `read_manifest`."""
    path = file_names.manifest(segment)
    content = filesystem.content(path)
    if content not in _manifests:
        _manifests[content] = read_manifest(KnownFiles({path: content}), store, segment)  # type: ignore[arg-type]
    return _manifests[content]


class ReadSegment:
    """The segment of one version. Its tables are opened together, when it is first asked."""

    def __init__(self, filesystem: ReadFilesystem, manifest: Manifest) -> None:
        self._filesystem = filesystem
        self._open: dict[int, bytes] = {}
        self.was_read = False
        self.expiring = 0
        self._serve(manifest)

    @classmethod
    def open(cls, filesystem: ReadFilesystem, store: str, segment: int, cache: Any) -> ReadSegment:
        """Open the published version. Raises FileNotFoundError."""
        return cls(filesystem, known_manifest(filesystem, store, segment))

    @property
    def state(self) -> tuple[object, ...]:
        """What decides what the segment answers."""
        return self.manifest.version, self._layers is not None, *sorted(self._open)

    def replace(self, manifest: Manifest) -> None:
        """Serve this version from now on."""
        assert manifest.version >= self.manifest.version
        self._serve(manifest)
        live = {record.number for record in manifest.tables}
        self._open = {number: content for number, content in self._open.items() if number in live}

    def _serve(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.tables = len(manifest.tables)
        self.tombstones = sum(record.tombstones for record in manifest.tables)
        self._layers: Answers | None = None

    def get(self, key: bytes, digest: tuple[int, int]) -> Stored | None:
        """Return what the newest layer that has the key holds. Raises Corruption."""
        return self._answers().get(key)

    def get_ready(self, key: bytes, digest: tuple[int, int]) -> Stored | NotReady | None:
        """Look up a key, if the tables are open."""
        return NOT_READY if self._layers is None else self._layers.get(key)

    def close(self) -> None:
        """Let go of the tables."""
        self._layers = None
        self._open = {}

    def look_up(self, wanted: Wanted) -> Held:
        """Look up each key. Raises Corruption."""
        return held_of([*map(self._answers().get, wanted.as_list())])

    def _answers(self) -> Answers:
        if self._layers is None:
            self._layers = self._opened()
        return self._layers

    def _opened(self) -> Answers:
        manifest = self.manifest
        files = {}
        for record in manifest.tables:
            path = file_names.table_file(manifest.segment, record.number)
            if record.number not in self._open:
                try:
                    self._open[record.number] = self._filesystem.content(path)
                except FileNotFoundError:
                    raise Corruption(path, 0, "there is no such file") from None
            files[path] = self._open[record.number]
        known = id(manifest), *files.values()
        if known not in _segments:
            _segments[known] = Answers(files, manifest)
        return _segments[known]


class RealSegment(Segment):
    """The real segment, to show that the quick one reads like it."""

    @property
    def state(self) -> tuple[object, ...]:
        """What decides what the segment answers."""
        return self.manifest.version, bool(self._layers), *sorted(self._tables._open)
