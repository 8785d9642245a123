"""Clears the files of a segment that its manifest does not name. This is done when a worker starts.

They were left by a job that ended early, or were named by a newer manifest that is gone. In that case the log makes
sure that no data is missing (wal/log_document.py). Yet no table that may have been published is
removed for good: a complete table of a drain that is newer than the manifest is set aside, under a name that nothing
reads. Tables of compactions are removed, as their inputs are still there.
"""

from __future__ import annotations

from itertools import count

from shardstore.files import file_names
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.manifest import Manifest
from shardstore.tables.table_format import END_MAGIC
from shardstore.workers.jobs.output import Numbers


def clear_orphans(filesystem: Filesystem, manifest: Manifest) -> None:
    """Remove the files that nothing needs, and set the others aside. No job of the segment may be running."""
    live = {file_names.table_file(manifest.segment, record.number) for record in manifest.tables}
    live.add(file_names.manifest(manifest.segment))
    directory = file_names.segment_directory(manifest.segment)
    for name in filesystem.list_directory(directory):
        path = f"{directory}/{name}"
        if path in live or file_names.is_aside(name):
            continue
        number = file_names.table_number_of(name)
        if number is not None and _may_be_published(filesystem, path, number, manifest):
            filesystem.rename(path, _free_name(filesystem, manifest.segment, number))
        else:
            filesystem.remove_gradually(path)


def _may_be_published(filesystem: Filesystem, path: str, number: int, manifest: Manifest) -> bool:
    """Whether this is a complete table of a drain that is newer than the manifest."""
    is_newer = number >= manifest.table_number_next and number == Numbers.OF_DRAINS.first_from(number)
    return is_newer and bytes(filesystem.map(path)[-len(END_MAGIC) :]) == END_MAGIC


def _free_name(filesystem: Filesystem, segment: int, number: int) -> str:
    names = (file_names.aside_file(segment, number, copy) for copy in count(1))
    return next(name for name in names if not filesystem.exists(name))
