"""Materialise: makes a new segment from its parents' files. No entry is written: the files are linked.

    parent a, keys to m             parent b, keys from m           child, all keys
    deltas   [  a6  ] [ a5 ]        [ b4 ]                          [ b4 ] [  a6  ] [ a5 ]
    main     [ a3 ][ a4 ]           [    b3    ]                    [ a3 ][ a4 ][    b3    ]
    bottoms  [     a2      ]        [ b2 ]                          [     a2      ][ b2 ]
             [  a1  ]                                               [  a1  ]

The parents have no key in common, so the deltas of one may lie above those of the other. Mains are joined in key order,
and so are bottom mains: the newest with the newest, and so on. A table that reaches beyond the child's keys becomes a
virtual part (shardstore/tables/virtual_part.py).

The child has no checkpoint of any log. Those of its parents say nothing of its own records, whose LSNs may be lower.

Of a parent that an operator has given up, only what can be read is taken: nothing if its manifest is damaged, and no
table that is missing or cannot be cut at the child's keys.

Order: link the files, sync the directory, publish the manifest that names them; each step is durable before the next.
What an interrupted job leaves without a manifest is removed by the next one.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise, zip_longest
from typing import Any, TypeAlias

from shardstore.errors import Corruption, NotWritable
from shardstore.files import file_names
from shardstore.files.documents import HEAD_BYTES
from shardstore.key_range import KeyRange
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.manifest import Manifest, Parts, new_manifest, read_manifest
from shardstore.tables.open_tables import OpenTables
from shardstore.tables.table_format import TableRecord
from shardstore.workers.jobs.clipped_record import clipped
from shardstore.workers.jobs.links import link_or_copy
from shardstore.workers.jobs.specs import MaterialiseResult, MaterialiseSpec
from shardstore.workers.segment.manifest_writer import publish_manifest

Linked: TypeAlias = dict[tuple[int, int], TableRecord]
"""Records of the child's tables, by the segment and number that the table has in the parent."""


def materialise(spec: MaterialiseSpec, filesystem: Filesystem) -> Generator[None, None, MaterialiseResult]:
    """Link the tables and publish the first manifest of the new segment, unless that was done already."""
    directory = file_names.segment_directory(spec.segment)
    filesystem.make_directory(directory)
    if filesystem.exists(file_names.manifest(spec.segment)):
        return MaterialiseResult(_published_before(spec, filesystem).without_window())
    _remove_files(directory, filesystem)
    parents = list(filter(None, [_manifest_of(spec, parent, filesystem) for parent in spec.parents]))
    if not spec.given_up:
        _check_cover(spec, parents)
    try:
        linked = yield from _linked(spec, parents, filesystem)
        filesystem.sync_directory(directory)
    except NotWritable:
        _remove_files(directory, filesystem)
        raise
    manifest = replace(
        new_manifest(spec.store, spec.segment, KeyRange(spec.start, spec.end), spec.epoch),
        table_number_next=len(linked) + 1,
        **_layers(parents, linked),
        dedup=spec.dedup,
    )
    publish_manifest(filesystem, manifest)
    return MaterialiseResult(manifest.without_window())


def _published_before(spec: MaterialiseSpec, filesystem: Filesystem) -> Manifest:
    """The manifest that an earlier job published; perhaps it died before the name was durable. Raises Corruption."""
    manifest = read_manifest(filesystem, spec.store, spec.segment)
    if (manifest.start, manifest.end) != (spec.start, spec.end):
        found = f"{manifest.start!r} to {manifest.end!r}"
        raise Corruption(file_names.manifest(spec.segment), HEAD_BYTES, f"holds {found}, not the keys of the child")
    filesystem.sync_directory(file_names.segment_directory(spec.segment))
    return manifest


def _remove_files(directory: str, filesystem: Filesystem) -> None:
    """Remove all files of the directory, in which there is no manifest."""
    for name in filesystem.list_directory(directory):
        filesystem.remove(f"{directory}/{name}")


def _manifest_of(spec: MaterialiseSpec, parent: int, filesystem: Filesystem) -> Manifest | None:
    """The manifest of a parent; None if the parent is given up, and its manifest cannot be read. Raises Corruption."""
    try:
        return read_manifest(filesystem, spec.store, parent)
    except FileNotFoundError:
        if parent in spec.given_up:
            return None
        path = file_names.manifest(parent)
        raise Corruption(path, 0, "the segment is to be materialised, but its manifest is missing") from None
    except Corruption:
        if parent in spec.given_up:
            return None
        raise


def _check_cover(spec: MaterialiseSpec, parents: Sequence[Manifest]) -> None:
    """Raise Corruption unless the parents hold every key of the child."""
    start, end = parents[0].start, parents[-1].end
    contiguous = all(left.end == right.start for left, right in pairwise(parents))
    if not contiguous or spec.start < start or (end and not b"" < spec.end <= end):
        ranges = ", ".join(f"{parent.start!r} to {parent.end!r}" for parent in parents)
        path = file_names.manifest(parents[0].segment)
        raise Corruption(path, HEAD_BYTES, f"{ranges} is not all of {spec.start!r} to {spec.end!r}")


def _linked(
    spec: MaterialiseSpec, parents: Sequence[Manifest], filesystem: Filesystem
) -> Generator[None, None, Linked]:
    """Link every table of the parents that has keys of the child under a name of the child. Returns their records."""
    linked: Linked = {}
    key_range = KeyRange(spec.start, spec.end)
    for parent in parents:
        tables = OpenTables(filesystem, spec.store, parent.segment)
        for record in parent.tables:
            number = len(linked) + 1
            source = file_names.table_file(parent.segment, record.number)
            try:
                kept = yield from clipped(record, key_range, tables)
                if kept is None:
                    continue
                yield from link_or_copy(filesystem, source, file_names.table_file(spec.segment, number))
            except Corruption:
                if parent.segment in spec.given_up:
                    continue
                raise
            if not record.is_linked:
                kept = replace(kept, origin_segment=parent.segment, origin_number=record.number)
            linked[parent.segment, record.number] = replace(kept, number=number)
            yield
    return linked


def _layers(parents: Sequence[Manifest], linked: Mapping[tuple[int, int], TableRecord]) -> dict[str, Any]:
    """The layers of the child, as fields of its manifest."""

    def kept(parent: Manifest, parts: Parts) -> Parts:
        numbers = [(parent.segment, record.number) for record in parts]
        return tuple(linked[number] for number in numbers if number in linked)

    bottoms = [list(filter(None, (kept(parent, parts) for parts in parent.bottoms))) for parent in parents]
    newest_first = zip_longest(*map(reversed, bottoms), fillvalue=())
    return {
        "deltas": tuple(chain.from_iterable(kept(parent, parent.deltas) for parent in parents)),
        "main": tuple(chain.from_iterable(kept(parent, parent.main) for parent in parents)),
        "bottoms": tuple(tuple(chain.from_iterable(parts)) for parts in newest_first)[::-1],
    }
