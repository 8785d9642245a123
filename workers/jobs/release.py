"""Release: advances the checkpoint of the log, then removes files that nothing needs any more.

The checkpoint is durable before the first file is removed. If a power cut undoes the removal of a log file, the file is
ignored because of the checkpoint. The manifest versions that made the files unnecessary are durable before, too: from
then on an earlier version is refused.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace

from shardstore.seams.filesystem import Filesystem
from shardstore.workers.jobs.specs import ReleaseResult, ReleaseSpec
from shardstore.workers.wal.log_document import publish_log_document, read_log_document


def release(spec: ReleaseSpec, filesystem: Filesystem) -> Generator[None, None, ReleaseResult]:
    """Publish the checkpoint and remove the files. Files that are gone already are no error."""
    document = read_log_document(filesystem, spec.store, spec.worker)
    assert document.log_id == spec.log_id
    lsn_checkpoint = max(document.lsn_checkpoint, spec.checkpoint)
    lsn_durable = max(document.lsn_durable, spec.lsn_durable)
    clock_ms = max(document.clock_ms, spec.clock_ms)
    document = replace(document, clock_ms=clock_ms)
    known = replace(document, lsn_checkpoint=lsn_checkpoint, lsn_durable=lsn_durable, segments=spec.segments)
    if (known.lsn_checkpoint, known.segments) != (document.lsn_checkpoint, document.segments):
        publish_log_document(filesystem, known)
    for path in spec.paths:
        with suppress(FileNotFoundError):
            filesystem.remove_gradually(path)
        yield
    for directory in sorted({path.rpartition("/")[0] for path in spec.paths}):
        with suppress(FileNotFoundError):  # the whole segment was retired
            filesystem.sync_directory(directory)
    return ReleaseResult()
