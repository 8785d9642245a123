"""Release: the log's checkpoint advances, then files that nothing needs any more are removed.

The checkpoint is durable before the first file goes: a log file whose removal was undone by a power cut is ignored
because of it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace

from shardstore.filesystem import Filesystem
from shardstore.workers.jobs.specs import ReleaseResult, ReleaseSpec
from shardstore.workers.wal.log_document import publish_log_document, read_log_document


def release(spec: ReleaseSpec, filesystem: Filesystem) -> Generator[None, None, ReleaseResult]:
    """Publish the checkpoint and remove the files; those that are gone already are fine."""
    document = read_log_document(filesystem, spec.store, spec.worker)
    assert document.log_id == spec.log_id
    if document.lsn_checkpoint < spec.checkpoint:
        publish_log_document(
            filesystem, replace(document, lsn_checkpoint=spec.checkpoint, lsn_durable=spec.lsn_durable)
        )
    for path in spec.paths:
        with suppress(FileNotFoundError):
            filesystem.remove_gradually(path)
        yield
    for directory in sorted({path.rpartition("/")[0] for path in spec.paths}):
        with suppress(FileNotFoundError):  # the whole segment was retired
            filesystem.sync_directory(directory)
    return ReleaseResult()
