"""Runs a job of any kind, in slices: at each `yield` the caller can do other work."""

from __future__ import annotations

from collections.abc import Generator
from typing import assert_never

from shardstore.errors import Corruption
from shardstore.seams.filesystem import Filesystem
from shardstore.segment_options import SegmentOptions
from shardstore.workers.jobs.compact import compact
from shardstore.workers.jobs.drain import drain
from shardstore.workers.jobs.materialise import materialise
from shardstore.workers.jobs.release import release
from shardstore.workers.jobs.retire import retire
from shardstore.workers.jobs.specs import (
    CompactSpec,
    DrainSpec,
    JobResult,
    MaterialiseSpec,
    ReleaseSpec,
    RetireSpec,
    Spec,
)
from shardstore.workers.jobs.tasks import RunTasks, one_after_the_other


def run(
    spec: Spec, filesystem: Filesystem, options: SegmentOptions, run_tasks: RunTasks = one_after_the_other
) -> Generator[None, None, JobResult]:
    """Do what the spec says. A job can be run again after any failure: it finds what was published and continues.

    `run_tasks` runs those tasks of a job that do not depend on each other. Raises Corruption for inputs that are
    damaged or missing, NotWritable and StorageFailure. In every case the inputs stay as they are.
    """
    try:
        return (yield from _job(spec, filesystem, options, run_tasks))
    except FileNotFoundError as missing:
        path = str(missing.filename or missing)
        raise Corruption(path, 0, "this file, or the directory that it belongs to, is gone") from None


def _job(
    spec: Spec, filesystem: Filesystem, options: SegmentOptions, run_tasks: RunTasks
) -> Generator[None, None, JobResult]:
    match spec:
        case DrainSpec():
            return (yield from drain(spec, filesystem, options, run_tasks))
        case CompactSpec():
            return (yield from compact(spec, filesystem, options))
        case ReleaseSpec():
            return (yield from release(spec, filesystem))
        case MaterialiseSpec():
            return (yield from materialise(spec, filesystem))
        case RetireSpec():
            return (yield from retire(spec, filesystem))
        case _:
            assert_never(spec)
