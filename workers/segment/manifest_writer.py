"""Publishes manifests. Only the owner of a segment does that, one version after the other."""

from __future__ import annotations

from shardstore.files import file_names
from shardstore.files.documents import publish
from shardstore.key_range import KeyRange
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.manifest import Manifest, encode_manifest, new_manifest, read_manifest


def create_segment(filesystem: Filesystem, store: str, segment: int, key_range: KeyRange, epoch: int) -> Manifest:
    """Create a new, empty segment durably. Returns its manifest."""
    filesystem.make_directory(file_names.segment_directory(segment))
    manifest = new_manifest(store, segment, key_range, epoch)
    publish_manifest(filesystem, manifest)
    return manifest


def publish_manifest(filesystem: Filesystem, manifest: Manifest) -> None:
    """Make this the manifest of its segment, atomically and durably. The tables it names must be durable already."""
    publish(filesystem, file_names.manifest(manifest.segment), encode_manifest(manifest))


def open_manifest(filesystem: Filesystem, store: str, segment: int) -> Manifest:
    """Read the manifest as the new owner of the segment, and make its name durable. Raises as `read_manifest`.

    A process may have died between renaming the manifest and syncing the directory. A power cut must not undo the
    rename: log files are released because of what the manifest says.
    """
    manifest = read_manifest(filesystem, store, segment)
    filesystem.sync_directory(file_names.segment_directory(segment))
    return manifest


def renew_manifest(filesystem: Filesystem, store: str, segment: int) -> None:
    """Publish the manifest anew, as it is. Raises as `read_manifest`, and StorageFailure.

    After a failed sync of the directory its name is in doubt, and another sync alone would prove nothing. The names of
    the tables are not in doubt: they were durable before the manifest named them.
    """
    manifest = read_manifest(filesystem, store, segment)
    filesystem.forget_failed_sync(file_names.segment_directory(segment))
    publish_manifest(filesystem, manifest)
