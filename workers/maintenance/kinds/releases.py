"""Releases remove files that nothing needs any more: tables that no manifest names, and log files."""

from __future__ import annotations

from collections.abc import Mapping

from shardstore.seams.effects import Effect
from shardstore.tables.manifest import Manifest
from shardstore.workers.jobs.specs import ReleaseResult, ReleaseSpec
from shardstore.workers.maintenance.kinds.job_kind import JobKind
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.serving.write_path import WritePath


class Releases(JobKind[ReleaseSpec, ReleaseResult]):
    """One job after manifests were published, if there are files to remove. `log_first_kept`: see MaintenanceQueue."""

    def __init__(
        self,
        worker: int,
        store: str,
        log_id: int,
        writes: WritePath,
        ranges: Mapping[int, OwnedRange],
        log_first_kept: int | None,
    ) -> None:
        self._worker = worker
        self._store = store
        self._log_id = log_id
        self._writes = writes
        self._ranges = ranges
        self._log_first_kept = log_first_kept
        self._obsolete: list[str] = []
        self._wanted = True  # if the recovered log has only records of former segments, nothing else asks for a release

    def checkpoint(self) -> int:
        """The LSN up to which no range needs the log."""
        kept = [owned.overlay.lsn_first for owned in self._ranges.values() if owned.overlay.lsn_first]
        if self._log_first_kept is not None:
            kept.append(self._log_first_kept)
        return min([self._writes.wal.lsn_durable, self._writes.lsn_applied, *(lsn - 1 for lsn in kept)])

    def replace(self, owned: OwnedRange, manifest: Manifest) -> None:
        """Serve the new manifest of a range, and have the files removed that it no longer names."""
        self._obsolete += owned.replace(manifest)
        self._wanted = True

    def want(self) -> None:
        """Look for log files that nothing needs, although no manifest was published."""
        self._wanted = True

    def next_spec(self, now_ns: int) -> ReleaseSpec | None:
        """Remove the files that nothing needs since the latest manifests were published."""
        if not self._wanted:
            return None
        self._wanted = False
        checkpoint = self.checkpoint()
        wal = self._writes.wal
        if checkpoint == wal.lsn_appended and wal.retained_bytes() > wal.file_bytes // 64:
            wal.rotate()  # nothing in the active file is needed any more, and only closed files can be removed
        files = wal.files_before(checkpoint)
        paths, self._obsolete = (*files, *self._obsolete), []
        wal.forget(files)
        if not paths:
            return None
        versions = {segment: version for segment, owned in self._ranges.items() if (version := owned.version_known)}
        granted_ms = self._writes.clock.granted_ms
        return ReleaseSpec(
            self._worker, self._store, self._log_id, checkpoint, wal.lsn_durable, versions, paths, granted_ms
        )

    def failed(self, spec: ReleaseSpec, duration_ns: int) -> list[Effect]:
        """Keep the paths for the next job."""
        self._obsolete += spec.paths
        self._wanted = True
        return []
