"""Examines the registry of spaces: it is read as a worker would read it, from tables and logs."""

from __future__ import annotations

from collections.abc import Iterator

from shardstore.doctor.findings import Finding, Kind
from shardstore.doctor.log import end_of_log, runs_of
from shardstore.doctor.survey import Survey
from shardstore.errors import UndecodableValue
from shardstore.files import file_names
from shardstore.key_range import KeyRange
from shardstore.seams.filesystem import Filesystem
from shardstore.spaces.document import read_space_document
from shardstore.spaces.reserved import COUNTER_KEY, DOCUMENTS_END, name_from
from shardstore.tables.column_items import as_list
from shardstore.tables.merge import joined, merge_entries
from shardstore.tables.segment import Segment
from shardstore.wire.counters import NoCounter, of_value
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.inheritance import Inheritance
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.replay import replay
from shardstore.workers.ranges.role import ADOPTED, ORDINARY

REGISTRY_KEYS = KeyRange(COUNTER_KEY, DOCUMENTS_END)
KEYS_SORTED_MAX = 2**62


def findings_in_registry(filesystem: Filesystem, survey: Survey) -> Iterator[Finding]:
    """What is wrong with the documents of spaces. Raises Corruption if a file on the way to them is damaged."""
    if survey.topology is None:
        return
    entries: dict[bytes, tuple[bytes, str]] = {}
    for route in survey.topology.map:
        wanted = survey.topology.map.range_of(route.segment).intersection(REGISTRY_KEYS)
        if wanted is not None:
            where = file_names.segment_directory(int(route.segment))
            found = _entries_of(_opened(filesystem, survey, int(route.segment)), wanted)
            entries |= {key: (value, where) for key, value in found.items()}
    yield from flaws_in_registry(entries)


def flaws_in_registry(entries: dict[bytes, tuple[bytes, str]]) -> Iterator[Finding]:
    """What is wrong with these entries of the registry, each with the directory of its segment."""
    value, where = entries.pop(COUNTER_KEY, (b"0", ""))
    numbers: dict[int, str] = {}
    try:
        newest = of_value(value)
    except NoCounter as flaw:
        newest = None
        yield Finding(Kind.SPACES, where, 0, f"the counter of spaces at {COUNTER_KEY!r} is none: {flaw}")
    for key, (value, where) in sorted(entries.items()):
        name = name_from(key)
        try:
            document = read_space_document(name, value)
        except UndecodableValue as flaw:
            yield Finding(Kind.SPACES, where, 0, f"the document of the space {name!r} is none: {flaw.what}")
            continue
        if document.number in numbers:
            what = (
                f"the spaces {numbers[document.number]!r} and {name!r} have the same prefix, number {document.number}"
            )
            yield Finding(Kind.SPACES, where, 0, what)
        elif newest is not None and document.number > newest:
            what = f"the space {name!r} has number {document.number}, and the counter is only at {newest}"
            yield Finding(Kind.SPACES, where, 0, what)
        numbers[document.number] = name


def _opened(filesystem: Filesystem, survey: Survey, segment: int) -> OwnedRange | None:
    """The range as its worker would open it, with its part of the log; None if it is still to be made."""
    expected, manifest = survey.expected[segment], survey.manifests.get(segment)
    change = survey.change_of_child(segment)
    inheritance = None
    if manifest is None:
        if segment in survey.unread or change is None:
            return None
        parents = [_opened(filesystem, survey, each.segment) for each in change.parents_over(expected.key_range)]
        inheritance = Inheritance([parent for parent in parents if parent is not None], is_remote=False)
    owned = OwnedRange(
        segment,
        expected.key_range,
        0,
        Segment(filesystem, manifest) if manifest else None,
        DedupWindow(),
        role=ORDINARY if manifest else ADOPTED,
        inheritance=inheritance,
    )
    log = survey.logs.get(expected.worker)
    if log is not None:
        replay({segment: owned}, runs_of(filesystem, log, end_of_log(filesystem, log)), log.log_id)
    return owned


def _entries_of(owned: OwnedRange | None, wanted: KeyRange) -> dict[bytes, bytes]:
    """The entries of a range that have values, without those that may expire, as no document of a space does."""
    if owned is None:
        return {}
    view = owned.view()
    view.sort(KEYS_SORTED_MAX)
    columns = [joined(found) for layer in view.layers if (found := layer.columns(wanted))]
    if not columns:
        return {}
    merged = merge_entries(columns)
    pairs = zip(as_list(merged.keys), as_list(merged.values), strict=True)
    return {key: value for key, value in pairs if isinstance(value, bytes)}
