"""Any history of a log, then any power loss or damage: recovery keeps a prefix, or names the damage."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardstore.errors import Corruption
from shardstore.workers.wal.log_document import LogDocument, publish_log_document, read_log_document
from shardstore.workers.wal.reader import LsnInterval, first_lsns, records_of
from shardstore.workers.wal.record_format import FILE_HEADER_BYTES, DamagedHeader, decode_file_header, log_record_at
from shardstore.workers.wal.writer import WalWriter
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.wal_driver import (
    DIRECTORY,
    LOG_ID,
    STORE,
    WORKER,
    append,
    fresh_writer,
    lsns_of,
    path_of,
    recovered,
    sync,
    writer_of,
)

STEPS = st.lists(st.sampled_from(["append", "append", "append", "append", "sync", "rotate", "release"]), max_size=40)


def take(filesystem: FaultyFilesystem, writer: WalWriter, steps: list[str]) -> None:
    """Run these steps on a log."""
    for step in steps:
        match step:
            case "append":
                append(writer)
            case "sync":
                sync(filesystem, writer)
            case "rotate":
                writer.rotate()
            case "release":
                checkpoint = writer.lsn_durable * 2 // 3
                if checkpoint > recovered_checkpoint(filesystem):
                    document = LogDocument(STORE, WORKER, LOG_ID, checkpoint, lsn_durable=writer.lsn_durable)
                    publish_log_document(filesystem, document)
                    writer.forget(writer.files_before(checkpoint))


def recovered_checkpoint(filesystem: FaultyFilesystem) -> int:
    return published(filesystem).lsn_checkpoint


def published(filesystem: FaultyFilesystem) -> LogDocument:
    return read_log_document(filesystem, STORE, WORKER)


@pytest.mark.fault("L1", "L15")
@given(
    lives=st.lists(STEPS, min_size=1, max_size=4),
    floors=st.lists(st.integers(0, 60), min_size=4),
    seed=st.integers(0),
)
def test_power_loss_leaves_a_prefix_with_everything_synced(
    lives: list[list[str]], floors: list[int], seed: int
) -> None:
    filesystem = FaultyFilesystem()
    written: list[int] = []
    for life, (steps, floor) in enumerate(zip(lives, floors, strict=False)):
        log = recovered(filesystem, lsn_floor=floor)
        writer = writer_of(filesystem, log)
        first = writer.next_lsn
        take(filesystem, writer, steps)
        written += range(first, writer.lsn_appended + 1)
        durable = writer.lsn_durable
        filesystem.lose_power(seed + life)
        log = recovered(filesystem)
        kept = lsns_of(filesystem, log)
        assert durable <= log.lsn_last
        written = [lsn for lsn in written if lsn <= log.lsn_last]
        assert kept == [lsn for lsn in written if lsn > log.lsn_checkpoint]
        assert lsns_read(filesystem, kept) == kept


def lsns_read(filesystem: FaultyFilesystem, lsns: list[int]) -> list[int]:
    """The same records as a drain reads them."""
    if not lsns:
        return []
    wanted = {segment: LsnInterval(lsns[0], lsns[-1]) for segment in (1, 2, 3)}
    return [record.lsn for record in records_of(filesystem, WORKER, LOG_ID, wanted) if record]


@dataclass(frozen=True)
class Place:
    """The place of a record, and what it says about others."""

    path: str
    start: int
    end: int
    lsn: int
    lsn_durable: int


def records_in_file(path: str, content: bytes) -> list[Place]:
    places, offset = [], FILE_HEADER_BYTES
    while offset < len(content):
        record = log_record_at(memoryview(content), offset, LOG_ID)
        places.append(Place(path, offset, offset + record.size, record.lsn, record.lsn_durable))
        offset += record.size
    return places


def damaged(data: st.DataObject, content: bytes) -> bytes | None:
    """The content after one accident; None if the file is missing."""
    start = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(1, 200))
    match data.draw(st.sampled_from(["flip", "flip", "zero", "cut", "repeat", "lose"])):
        case "flip":
            return content[:start] + bytes(byte ^ 0x10 for byte in content[start : start + 1]) + content[start + 1 :]
        case "zero":
            return content[:start] + bytes(min(length, len(content) - start)) + content[start + length :]
        case "cut":
            return content[:start]
        case "repeat":
            earlier = content[max(0, start - length) : start]
            return (content[:start] + earlier + content[start + len(earlier) :])[: len(content)]
        case _:
            return None


@given(steps=STEPS, data=st.data())
def test_damage_is_named_or_costs_only_a_tail_not_known_to_be_durable(steps: list[str], data: st.DataObject) -> None:
    filesystem = FaultyFilesystem()
    writer = fresh_writer(filesystem)
    take(filesystem, writer, steps)
    paths = [path_of(lsn) for lsn in first_lsns(filesystem, WORKER)]
    if not paths:
        return
    before = {path: filesystem.content(path) for path in paths}
    after: dict[str, bytes | None] = dict(before)
    for path in data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=2, unique=True)):
        after[path] = damaged(data, before[path])
        filesystem.erase(path)
        if after[path] is not None:
            filesystem.place(path, after[path])  # type: ignore[arg-type]
    checkpoint = recovered_checkpoint(filesystem)
    lsn_kept = lsn_before_first_loss(before, after, published(filesystem))
    if lsn_kept is None:
        with pytest.raises(Corruption) as caught:
            recovered(filesystem)
        assert caught.value.file.startswith(DIRECTORY)
        return
    log = recovered(filesystem)
    assert lsns_of(filesystem, log) == list(range(checkpoint + 1, lsn_kept + 1))
    if log.cut is None:
        last = [path for path in paths if after[path] is not None][-1:]
        assert all(len(after[path] or b"") in clean_ends(path, before[path], lsn_kept) for path in last)


def clean_ends(path: str, content: bytes, lsn_kept: int) -> list[int]:
    """The possible lengths of the last file if nothing had to be cut from it."""
    return [0, FILE_HEADER_BYTES, *(place.end for place in records_in_file(path, content) if place.lsn <= lsn_kept)]


def lsn_before_first_loss(
    before: dict[str, bytes], after: dict[str, bytes | None], document: LogDocument
) -> int | None:
    """The LSN of the last record that may be kept; None if lost records are known to have been durable.

    Records of a file with a damaged header are lost, but still show what was durable. If its first LSN is not above the
    checkpoint, the file may be one whose removal was undone with any part of it gone: then only a record above the
    checkpoint shows that the file was needed.
    """
    checkpoint = document.lsn_checkpoint
    found = {path: content for path, content in after.items() if content is not None}
    needed = [path for path, following in zip_longest(found, [*found][1:]) if not ends_below(following, checkpoint)]
    places = [place for path in needed for place in records_in_file(path, before[path])]
    intact = [place for place in places if part_of(found, place) == part_of(before, place)]
    evidence = [checkpoint, document.lsn_durable, *(place.lsn_durable for place in intact)]
    readable = set()
    for path in needed:
        try:
            evidence.append(decode_file_header(path, found[path], WORKER, LOG_ID).lsn_durable)
            readable.add(path)
        except Corruption:
            return None
        except DamagedHeader:
            needed_records = [place for place in intact if place.path == path and place.lsn > checkpoint]
            if path <= path_of(checkpoint) and needed_records:
                return None
    lsns = {place.lsn for place in intact if place.path in readable}
    kept = next(lsn for lsn in count(checkpoint) if lsn + 1 not in lsns)
    return None if kept < max(evidence) else kept


def ends_below(following: str | None, checkpoint: int) -> bool:
    """Whether the file before `following` has no record above the checkpoint."""
    return following is not None and following <= path_of(checkpoint + 1)


def part_of(contents: dict[str, bytes], place: Place) -> bytes:
    return contents[place.path][place.start : place.end]
