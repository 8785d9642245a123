"""The survey of a store: its map, its manifests and its logs' documents, read and compared with each other.

It reads small files only. What is left is work on single large files, which can be done side by side (checks.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from shardstore.doctor.findings import Finding, Kind, of_error
from shardstore.errors import Corruption, StorageFailure
from shardstore.files import file_names
from shardstore.files.documents import HEAD_BYTES
from shardstore.key_range import KeyRange
from shardstore.router.route_table import Topology, check_segments, read_topology
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.manifest import Manifest, read_manifest
from shardstore.wire.topology import Change, Relative
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.wal.log_document import LogDocument, read_log_document
from shardstore.workers.wal.reader import first_lsns
from shardstore.workers.wal.recovery import is_older_life

UNREADABLE = (Corruption, StorageFailure)
"""What is raised for a damaged file, and for one that the disk refuses to read. A bad file does not hide others."""
NO_WINDOW = (AssertionError, ValueError, TypeError, KeyError, IndexError, OverflowError)
"""What a dedup window raises that nobody could have written."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A range that must be there: a range of the map, or the parent of a change. `is_made`: it has had a manifest."""

    key_range: KeyRange
    worker: int
    is_made: bool


@dataclass(slots=True)
class Survey:
    """What was read of a store, and what was found.

    `topology` is None if there is no readable map. `expected`: by segment, all ranges of the map and all parents of
    changes. `unread`: segments whose manifest is damaged.
    """

    store: str
    topology: Topology | None = None
    expected: dict[int, Expected] = field(default_factory=dict)
    manifests: dict[int, Manifest] = field(default_factory=dict)
    unread: set[int] = field(default_factory=set)
    logs: dict[int, LogDocument] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def workers(self) -> tuple[int, ...]:
        """The numbers of the store's workers."""
        return self.topology.workers if self.topology else ()

    @property
    def given_up(self) -> set[int]:
        """The parents that operators have given up: whatever is wrong with them, their changes go on."""
        return {segment for each in (self.topology.changes if self.topology else ()) for segment in each.given_up}

    def unreadable_parents(self, change: Change) -> list[int]:
        """The parents whose manifests a change needs to go on and that cannot be read."""
        if all(self.holds(child.segment) for child in change.children):
            return []
        needed = [parent for parent in change.kept_parents if self.topology and is_made(parent, change, self.topology)]
        return [parent.segment for parent in needed if not self.holds(parent.segment)]

    def change_of_child(self, segment: int) -> Change | None:
        """The change under way that makes this segment; None if there is none."""
        changes = self.topology.changes if self.topology else ()
        return next((each for each in changes if segment in {child.segment for child in each.children}), None)

    def holds(self, segment: int) -> bool:
        """Whether the segment has files of its own that can be read."""
        return segment in self.manifests


def survey_of(filesystem: Filesystem, store: str) -> Survey:
    """Read the small files of the store, and compare them."""
    survey = Survey(store)
    _read_map(filesystem, survey)
    _read_manifests(filesystem, survey)
    _read_logs(filesystem, survey)
    if survey.topology is not None:
        survey.expected = _expected(survey.topology)
        for segment, expected in survey.expected.items():
            if segment in survey.given_up:
                continue
            survey.findings += _of_segment(survey, segment, expected)
        for change in survey.topology.changes:
            survey.findings += _of_change(survey, change)
    return survey


def workers_in(filesystem: Filesystem) -> list[int]:
    """The workers that have a directory."""
    workers = map(file_names.worker_of, filesystem.list_directory(file_names.WORKERS))
    return [worker for worker in workers if worker is not None]


def _read_map(filesystem: Filesystem, survey: Survey) -> None:
    """Read ROUTES. A store that never had a router has none, and no segments."""
    try:
        survey.topology = read_topology(filesystem, survey.store)
        check_segments(filesystem, survey.topology.segment_next)
    except UNREADABLE as error:
        survey.findings.append(of_error(Kind.ROUTE_MAP, file_names.ROUTES, error))
    except FileNotFoundError:
        if filesystem.list_directory(file_names.SEGMENTS):
            what = f"is missing, but {file_names.SEGMENTS} holds segments"
            survey.findings.append(Finding(Kind.ROUTE_MAP, file_names.ROUTES, 0, what))


def _read_manifests(filesystem: Filesystem, survey: Survey) -> None:
    needed = set(_expected(survey.topology)) - survey.given_up if survey.topology else None
    for segment in filter(None, map(file_names.segment_of, filesystem.list_directory(file_names.SEGMENTS))):
        try:
            survey.manifests[segment] = read_manifest(filesystem, survey.store, segment)
        except FileNotFoundError:
            continue
        except UNREADABLE as error:
            survey.unread.add(segment)
            if needed is None or segment in needed:
                survey.findings.append(of_error(Kind.MANIFEST, file_names.manifest(segment), error))


def _read_logs(filesystem: Filesystem, survey: Survey) -> None:
    """Read the document of each log. A worker that has never run has none."""
    lives: Mapping[int, int] = survey.topology.lives if survey.topology else {}
    for worker in survey.workers if survey.topology else workers_in(filesystem):
        path, newest = file_names.log_document(worker), lives.get(worker, 0)
        try:
            log = survey.logs[worker] = read_log_document(filesystem, survey.store, worker)
        except UNREADABLE as error:
            survey.findings.append(of_error(Kind.LOG, path, error))
            continue
        except FileNotFoundError:
            if newest or first_lsns(filesystem, worker):
                survey.findings.append(Finding(Kind.LOG, path, 0, "is missing, but this worker had a log"))
            continue
        if is_older_life(log.life, newest):
            what = "is not the newest log of this worker: its directory was removed, or is an older copy"
            survey.findings.append(Finding(Kind.LOG, path, 0, what))


def _expected(topology: Topology) -> dict[int, Expected]:
    """All ranges that must be there."""
    found = {
        parent.segment: Expected(parent.key_range, parent.worker, is_made(parent, change, topology))
        for change in topology.changes
        for parent in change.parents
    }
    for route in topology.map:
        is_child = any(child.segment == route.segment for each in topology.changes for child in each.children)
        made = route.created and not is_child
        found[int(route.segment)] = Expected(topology.map.range_of(route.segment), int(route.worker), made)
    return found


def is_made(parent: Relative, change: Change, topology: Topology) -> bool:
    """Whether a parent must have files: not if it is itself the child of another change."""
    return not any(
        parent.segment == child.segment
        for each in topology.changes
        if each.number != change.number
        for child in each.children
    )


def _of_segment(survey: Survey, segment: int, expected: Expected) -> Iterator[Finding]:
    """What is wrong with the manifest of a range that must be there."""
    path = file_names.manifest(segment)
    log = survey.logs.get(expected.worker)
    version_logged = log.segments.get(segment, 0) if log else 0
    manifest = survey.manifests.get(segment)
    if manifest is None:
        if segment not in survey.unread and (
            version_logged or (expected.is_made and not _is_replaced(survey, segment))
        ):
            yield Finding(Kind.MANIFEST, path, 0, "the segment is in the route map, but its manifest is missing")
        return
    if manifest.key_range != expected.key_range:
        what = f"holds {manifest.start!r} to {manifest.end!r}, not {expected.key_range}"
        yield Finding(Kind.MANIFEST, path, HEAD_BYTES, what)
    if manifest.version < version_logged:
        what = f"is version {manifest.version}, older than version {version_logged}, which was there before"
        yield Finding(Kind.MANIFEST, path, HEAD_BYTES, what)
    try:
        DedupWindow.from_document(manifest.dedup).check_invariants()
    except NO_WINDOW as flaw:
        yield Finding(Kind.WINDOW, path, HEAD_BYTES, f"its dedup window is none: {flaw!r:.200}")


def _is_replaced(survey: Survey, segment: int) -> bool:
    """Whether all children of a parent have files, so that the parent may be removed already."""
    assert survey.topology is not None
    changes = [each for each in survey.topology.changes if segment in {parent.segment for parent in each.parents}]
    return bool(changes) and all(survey.holds(child.segment) for each in changes for child in each.children)


def _of_change(survey: Survey, change: Change) -> Iterator[Finding]:
    """What keeps a change from going on: it does not cover its keys, or neither child nor parents have the files."""
    name = f"change {change.number}, a {change.kind}"
    for relatives in (change.parents, change.children):
        if not relatives or any(left.end != right.start for left, right in pairwise(relatives)):
            yield Finding(Kind.CHANGE, file_names.ROUTES, HEAD_BYTES, f"{name}: its ranges leave a gap")
            return
    old, new = (change.parents[0].start, change.parents[-1].end), (change.children[0].start, change.children[-1].end)
    if old != new:
        yield Finding(
            Kind.CHANGE, file_names.ROUTES, HEAD_BYTES, f"{name}: its children have other keys than its parents"
        )
    for parent in survey.unreadable_parents(change):
        what = f"{name}: cannot go on, as its parent, segment {parent}, cannot be read"
        yield Finding(Kind.CHANGE, file_names.ROUTES, HEAD_BYTES, what)
    for child in change.children:
        if child.segment not in survey.expected:
            what = f"{name}: its child {child.segment} is not in the route map"
            yield Finding(Kind.CHANGE, file_names.ROUTES, HEAD_BYTES, what)
