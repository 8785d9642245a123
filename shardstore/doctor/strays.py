"""Finds the files that nothing needs: leftovers, which a healthy store may have, and files that are none of a store's.

Where a map or a manifest cannot be read it is unknown what is needed, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from shardstore.doctor.findings import Finding, Kind
from shardstore.doctor.survey import Survey
from shardstore.files import file_names
from shardstore.files.documents import TEMPORARY_SUFFIX
from shardstore.seams.filesystem import Filesystem

_ROOT = frozenset(
    (
        *(file_names.STORE_LOCK, file_names.STORE, file_names.ENDPOINT, file_names.LOST_AND_FOUND),
        *(file_names.ROUTER_DIRECTORY, file_names.WORKERS, file_names.SEGMENTS),
        *(file_names.KEYS, file_names.KEYS_LOCK, file_names.SERVER_KEY),
    )
)


def strays_in(filesystem: Filesystem, survey: Survey) -> Iterator[Finding]:
    """All files of the directory that no start needs."""
    yield from _others(filesystem, "", _ROOT)
    router = {file_names.ROUTER_LOCK, file_names.ROUTES}
    yield from _others(filesystem, file_names.ROUTER_DIRECTORY, {_name(path) for path in router})
    if survey.topology is None:
        return
    directories = {_name(file_names.worker_directory(worker)): worker for worker in survey.workers}
    for name in filesystem.list_directory(file_names.WORKERS):
        path = f"{file_names.WORKERS}/{name}"
        if name not in directories:
            yield Finding(Kind.LEFTOVER, path, 0, "is of a worker that the store does not have")
            continue
        yield from _of_worker(filesystem, directories[name])
    for name in filesystem.list_directory(file_names.SEGMENTS):
        yield from _of_segment(filesystem, survey, name)


def _of_worker(filesystem: Filesystem, worker: int) -> Iterator[Finding]:
    known = map(
        _name,
        (
            *(file_names.worker_lock(worker), file_names.jobs_lock(worker)),
            *(file_names.board_place(worker), file_names.log_document(worker)),
        ),
    )
    directory = file_names.worker_directory(worker)
    logs = {name for name in filesystem.list_directory(directory) if file_names.first_lsn_of(name) is not None}
    yield from _others(filesystem, directory, logs.union(known))


def _of_segment(filesystem: Filesystem, survey: Survey, name: str) -> Iterator[Finding]:
    path, segment = f"{file_names.SEGMENTS}/{name}", file_names.segment_of(name)
    if file_names.is_segment_aside(name):
        yield Finding(Kind.LEFTOVER, path, 0, "is a segment that an operator gave up")
    elif segment is None:
        yield Finding(Kind.STRAY, path, 0, "is no segment")
    elif segment not in survey.expected:
        yield Finding(Kind.LEFTOVER, path, 0, "is of a segment that is neither in the route map nor part of a change")
    elif segment in survey.manifests:
        named = {_name(file_names.table_file(segment, each.number)) for each in survey.manifests[segment].tables}
        for other in filesystem.list_directory(path):
            if other not in named and (file_names.table_number_of(other) is not None or file_names.is_aside(other)):
                yield Finding(Kind.LEFTOVER, f"{path}/{other}", 0, "is a table that the manifest does not name")
                named.add(other)
        yield from _others(filesystem, path, named | {_name(file_names.manifest(segment))})


def _others(filesystem: Filesystem, directory: str, known: frozenset[str] | set[str]) -> Iterator[Finding]:
    """What is in a directory beside what is known."""
    for name in filesystem.list_directory(directory):
        path = f"{directory}/{name}" if directory else name
        if name.endswith(TEMPORARY_SUFFIX):
            yield Finding(Kind.LEFTOVER, path, 0, "is a file that was not written to its end")
        elif name not in known:
            yield Finding(Kind.STRAY, path, 0, "is no file of a store")


def _name(path: str) -> str:
    return path.rpartition("/")[2]
