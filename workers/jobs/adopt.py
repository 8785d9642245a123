"""TEMPORARY: copies."""
from __future__ import annotations
from collections.abc import Generator
from contextlib import suppress
from shardstore import file_names
from shardstore.filesystem import Filesystem
from shardstore.key_range import KeyRange
from shardstore.segment_options import SegmentOptions
from workers.chunk import merge
from workers.jobs.output import Output
from workers.jobs.specs import AdoptResult, AdoptSpec, RetireResult, RetireSpec
from workers.segment.manifest import new_manifest, publish_manifest, read_manifest
from workers.segment.segment import Segment
from workers.segment.table_format import Entries

def adopt(spec: AdoptSpec, filesystem: Filesystem, options: SegmentOptions) -> Generator[None, None, AdoptResult]:
    if filesystem.exists(file_names.manifest(spec.segment)):
        filesystem.sync_directory(file_names.segment_directory(spec.segment))
        return AdoptResult(read_manifest(filesystem, spec.store, spec.segment))
    filesystem.make_directory(file_names.segment_directory(spec.segment))
    keys, values, checkpoint = [], [], {}
    for parent in spec.parents:
        m = read_manifest(filesystem, spec.store, parent)
        seg = Segment(filesystem, m)
        wanted = KeyRange(spec.start, spec.end).intersection(m.key_range)
        while True:
            chunk = merge([l.chunk(wanted, False, 10**6, 10**9) for l in seg.layers()], False, 10**9)
            keys += chunk.keys; values += chunk.values
            if chunk.exhausted: break
            wanted = KeyRange(chunk.keys[-1] + b"\0", wanted.end)
        for log, lsn in m.checkpoint.items():
            checkpoint[log] = max(checkpoint.get(log, 0), lsn)
        yield
    manifest = new_manifest(spec.store, spec.segment, KeyRange(spec.start, spec.end), spec.epoch)
    output = Output(filesystem, options, manifest)
    delta = yield from output.write_table(Entries(list(keys), list(values)), 1, 1)
    output.sync_names()
    manifest = manifest.successor(table_number_next=output.table_number_next, deltas=delta, checkpoint=checkpoint, dedup=spec.dedup)
    publish_manifest(filesystem, manifest)
    yield
    return AdoptResult(manifest)

def retire(spec: RetireSpec, filesystem: Filesystem) -> Generator[None, None, RetireResult]:
    for segment in spec.segments:
        directory = file_names.segment_directory(segment)
        names = filesystem.list_directory(directory)
        for name in sorted(names, key=lambda n: n != "MANIFEST"):
            with suppress(FileNotFoundError): filesystem.remove(f"{directory}/{name}")
            with suppress(FileNotFoundError): filesystem.sync_directory(directory)
            yield
        with suppress(FileNotFoundError):
            filesystem.remove_directory(directory)
        filesystem.sync_directory("segments")
    return RetireResult()
