"""A store whose files and boards a test makes by hand, as workers do, for the readers of a client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shardstore.files.file_names import segment_directory
from shardstore.identifiers import Epoch, SegmentId, Stored, WorkerId, tag_of_store
from shardstore.key_range import KeyRange
from shardstore.limits import MIB
from shardstore.seams.boards import OpenBoard
from shardstore.tables.manifest import Manifest, read_manifest
from shardstore.tables.table_format import Identity
from shardstore.wire.board_format import HEADER_WORDS, SEGMENT, SLOT_WORDS, slot_at
from shardstore.wire.route_map import Route, RouteMap
from shardstore.workers.board.range_slot import RangeSlot
from shardstore.workers.board.worker_board import WorkerBoard
from shardstore.workers.segment.manifest_writer import create_segment, publish_manifest
from tests.simulation.sim_boards import SimBoards
from tests.unit.faulty_filesystem import FaultyFilesystem
from tests.unit.table_samples import STORE, write

__all__ = ["EPOCH", "MEMORY", "STORE", "TABLES", "DirectStore"]

EPOCH = 5
MEMORY = MIB
TABLES = 100


class CountedBoards(SimBoards):
    """Counts how often somebody looks for a board."""

    looks = 0

    def open(self, worker: int, store: int) -> OpenBoard | None:  # type: ignore[override]
        """The current board of this store."""
        self.looks += 1
        return super().open(worker, store) if store == tag_of_store(STORE) else None


class DirectStore:
    """Ranges that begin at `starts`, with segments 1, 2 and so on. Worker 0 has all of them, unless `workers` says."""

    def __init__(self, starts: Sequence[bytes] = (b"",), workers: Sequence[int] = ()) -> None:
        self.filesystem = FaultyFilesystem()
        self.boards = CountedBoards()
        self.starts = [*starts]
        self.workers = [*workers] or [0] * len(starts)
        self.board_of: dict[int, WorkerBoard] = {}
        self.routes = self.routes_of(EPOCH)
        for at, start in enumerate(self.starts):
            end = self.starts[at + 1] if at + 1 < len(self.starts) else b""
            self.filesystem.make_directory(segment_directory(at + 1))
            create_segment(self.filesystem, STORE, at + 1, KeyRange(start, end), 1)
        for worker in {*self.workers}:
            self.start(worker)

    def routes_of(self, epoch: int, version: int = 1) -> RouteMap:
        """A route map in which all ranges have this epoch."""
        rows = zip(self.starts, self.workers, strict=True)
        return RouteMap(
            version,
            tuple(
                Route(start, SegmentId(at), WorkerId(worker), Epoch(epoch), created=True)
                for at, (start, worker) in enumerate(rows, 1)
            ),
        )

    def start(self, worker: int) -> None:
        """Let the next process of a worker begin, and show its ranges, with nothing in memory."""
        self.board_of[worker] = WorkerBoard(self.boards.renew(worker, tag_of_store(STORE)))
        for segment, owner in enumerate(self.workers, 1):
            if owner == worker:
                self.slot(segment).open(EPOCH, self.manifest(segment).version, has_active=False, has_runs=False)

    def slot(self, segment: int) -> RangeSlot:
        """The slot of a segment, as its worker has it."""
        slot = self.board_of[self.workers[segment - 1]].slot_of(segment)
        assert slot is not None
        return slot

    def at(self, segment: int) -> tuple[OpenBoard, int]:
        """The board of a segment, and the number of the first word of its slot."""
        board = self.boards.current[self.workers[segment - 1]]
        segments = board.memory.words[HEADER_WORDS + SEGMENT :: SLOT_WORDS].tolist()
        return board, slot_at(segments.index(segment))

    def manifest(self, segment: int) -> Manifest:
        """The published manifest of a segment."""
        return read_manifest(self.filesystem, STORE, segment)

    def publish(self, entries: Mapping[bytes, Stored], segment: int = 1) -> Manifest:
        """Publish one more table, which is newer than the others."""
        former = self.manifest(segment)
        number = former.table_number_next
        record = write(self.filesystem, dict(sorted(entries.items())), Identity(STORE, segment, number))
        manifest = replace(
            former, version=former.version + 1, table_number_next=number + 1, deltas=(*former.deltas, record)
        )
        publish_manifest(self.filesystem, manifest)
        return manifest

    def drain(self, entries: Mapping[bytes, Stored], segment: int = 1) -> Manifest:
        """Publish a table, and tell on the board that it has all that was in memory."""
        manifest = self.publish(entries, segment)
        self.slot(segment).take_version(manifest.version)
        self.slot(segment).drop(has_active=False, has_runs=False)
        return manifest
