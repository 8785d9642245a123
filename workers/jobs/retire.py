"""Retire: removes segments that nothing refers to any more, with their directories.

The manifest is removed first, durably: a directory without one is no segment, whatever tables an interrupted job leaves
in it. Two starting workers may have been told to remove the same segment, so it is no error if files are gone already.
A file that is no part of a segment is not removed; its directory then stays, and the job fails.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress

from shardstore.files import file_names
from shardstore.files.documents import TEMPORARY_SUFFIX
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.manifest import read_manifest
from shardstore.workers.jobs.specs import RetireResult, RetireSpec


def retire(spec: RetireSpec, filesystem: Filesystem) -> Generator[None, None, RetireResult]:
    """Remove the segments; if one is gone already, that is no error. Raises Corruption for one of another store."""
    for segment in spec.segments:
        if filesystem.exists(file_names.segment_directory(segment)):
            yield from _retire_segment(spec.store, segment, filesystem)
    filesystem.sync_directory(file_names.SEGMENTS)
    return RetireResult()


def _retire_segment(store: str, segment: int, filesystem: Filesystem) -> Generator[None, None, None]:
    directory, manifest = file_names.segment_directory(segment), file_names.manifest(segment)
    with suppress(FileNotFoundError):
        read_manifest(filesystem, store, segment)
        filesystem.remove(manifest)
    with suppress(FileNotFoundError):
        filesystem.sync_directory(directory)
        filesystem.remove(manifest + TEMPORARY_SUFFIX)
    for name in filesystem.list_directory(directory):
        if file_names.table_number_of(name) is not None or file_names.is_aside(name):
            with suppress(FileNotFoundError):
                filesystem.remove_gradually(f"{directory}/{name}")
            yield
    with suppress(FileNotFoundError):
        filesystem.remove_directory(directory)
