"""The ranges of this worker: those that the router assigned, and parents and children of changes under way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from shardstore.errors import Corruption, ShardstoreError, StorageFailure
from shardstore.identifiers import tag_of_store
from shardstore.limits import MILLISECOND_NS
from shardstore.seams.effects import Effect, Send
from shardstore.seams.filesystem import Filesystem
from shardstore.tables.cache import SegmentCache
from shardstore.tables.cut_keys import cut_keys
from shardstore.tables.manifest import Manifest, read_manifest
from shardstore.tables.segment import Segment
from shardstore.wire.link_names import ROUTER
from shardstore.wire.messages import Assignment, Assignments, Refusal
from shardstore.wire.topology import Relative
from shardstore.wire.wire_format import Flag, Header, Op, Status
from shardstore.workers.board.worker_board import WorkerBoard
from shardstore.workers.load.range_size import RangeSize, size_of
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.inheritance import Inheritance
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.range_opener import open_child, open_range
from shardstore.workers.ranges.reopening import Reopening
from shardstore.workers.ranges.role import WAITING
from shardstore.workers.ranges.window_share import WindowShare
from shardstore.workers.serving.reply import Asker
from shardstore.workers.serving.requests import has_cursor
from shardstore.workers.topology.local_changes import LocalChanges

MATERIALISATION_RETRY_NS = 2 * MILLISECOND_NS


class Holdings:
    """The ranges of one worker. `ranges` maps segments to them, and is shared with other parts of the worker.

    `windows` limits the memory of all dedup windows. `versions`: by segment, the version of its manifest that the log
    knows.
    """

    def __init__(
        self,
        filesystem: Filesystem,
        worker: int,
        store: str,
        cache: SegmentCache,
        versions: Mapping[int, int],
        window_bytes: int,
        board: WorkerBoard,
    ) -> None:
        self._filesystem = filesystem
        self._store = store
        self._tag = tag_of_store(store)
        self._cache = cache
        self._versions = versions
        self._board = board
        self.ranges: dict[int, OwnedRange] = {}
        self.windows = WindowShare(window_bytes)
        self._reopening = Reopening(filesystem, store)
        self.changes = LocalChanges(worker, store, self.ranges, self._open, self._window_in_files, board)

    def take(self, assignments: Assignments) -> list[int]:
        """Open new ranges, and take over epochs and orders. Returns the segments that are no longer assigned."""
        children = {child.segment for order in assignments.orders for child in order.change.children}
        for assignment in assignments.ranges:
            owned = self.ranges.get(assignment.segment)
            if owned is not None:
                owned.raise_epoch(assignment.epoch)
            elif assignment.segment not in children:
                self.ranges[assignment.segment] = self._opened(assignment)
        self.changes.keep_only({order.change.number for order in assignments.orders})
        for order in assignments.orders:
            self.changes.take(order)
        assigned = {assignment.segment for assignment in assignments.ranges}
        return sorted(self.ranges.keys() - assigned - self.changes.parents)

    def show(self) -> None:
        """Let clients read the files of all ranges themselves, but for the parents of changes."""
        parents = self.changes.parents
        for segment, owned in self.ranges.items():
            if segment not in parents:
                owned.show(self._board.slot_of(segment))

    def why_to_stop(self, left: Iterable[int]) -> str:
        """Why this process must end, with what the router gave it; empty if it need not.

        `left`: segments that are no longer assigned. All of them must be fenced here.
        """
        for segment in left:
            if not self.ranges[segment].role.is_fenced and not self.changes.why_to_stop():
                return f"the route map does not know segment {segment}, which is served here: the map is out of date"
        return self.changes.why_to_stop()

    def serving(self) -> dict[int, int]:
        """The epochs, by segment, of the ranges that are served, or will be once they are adopted."""
        parents = self.changes.parents
        return {
            segment: owned.epoch
            for segment, owned in self.ranges.items()
            if segment not in parents and not owned.role.is_fenced
        }

    def pass_time(self, now_ns: int) -> list[Effect]:
        """Age the dedup windows, keep them within their memory, and try again to open what could not be opened."""
        self.windows.pass_time([owned.dedup for owned in self.ranges.values()], now_ns)
        return self._reopening.pass_time(self.ranges.values(), now_ns)

    def sizes(self) -> dict[int, RangeSize]:
        """The sizes, by segment, of the ranges that are not fenced."""
        return {segment: size_of(owned) for segment, owned in self.ranges.items() if not owned.role.is_fenced}

    def cuts_of(self, segment: int, pieces: int) -> list[bytes]:
        """Keys that cut a range into this many pieces of about the same size; fewer if too little is known."""
        owned = self.ranges[segment]
        layers = owned.overlay.layers()
        sampled = [(key, layer.key_sample.step_bytes) for layer in layers for key in layer.key_sample.keys]
        stored = owned.segment
        try:
            return stored.cut_keys(sampled, pieces) if stored else cut_keys((), lambda table: (), sampled, pieces)
        except Corruption:  # the readers of these keys get the error
            return []

    def open_segment(self, manifest: Manifest) -> Segment:
        """Open the segment of a child that has files of its own now."""
        return Segment(self._filesystem, manifest, self._cache)

    def of(self, asker: Asker, frames: Sequence[bytes]) -> OwnedRange | None:
        """The range that a request is for; None if the request must be turned away. Raises InvalidRequest."""
        header = asker.header
        owned = self.ranges.get(header.segment)
        store = header.store
        if store and store != self._tag:
            return None
        if owned is None or owned.epoch != header.epoch or not owned.role.is_served:
            return self._former_of(asker, frames)
        return owned

    def note_failure(self, segment: int, failure: ShardstoreError) -> None:
        """Note why a request for a segment failed, if that was damage."""
        owned = self.ranges.get(segment)
        if owned is not None and isinstance(failure, Corruption):
            owned.note_read_damage(failure)

    def is_asked_itself(self, header: Header) -> bool:
        """Whether the request is for the worker itself instead of one of its ranges."""
        return header.op == Op.STATS and not header.segment and header.store in (0, self._tag)

    def turn_away(self, asker: Asker, routes: bytes) -> Send:
        """The reply to a request that this worker cannot serve, or not yet."""
        header = asker.header
        if header.store and header.store != self._tag:
            return asker.refuse(Status.OTHER_STORE, Refusal(f"this is a worker of store {self._store}"))
        owned = self.ranges.get(header.segment)
        if owned is not None and owned.epoch == header.epoch and owned.role is WAITING:
            what = Refusal(f"segment {header.segment} waits for the fence of its parents")
            return asker.refuse(Status.UNAVAILABLE, what, MATERIALISATION_RETRY_NS)
        stale = f"segment {header.segment} is not served here at epoch {header.epoch}"
        return asker.refuse(Status.STALE_ROUTE, Refusal(stale, routes=routes))

    def check_invariants(self) -> None:
        """Raise AssertionError if a range has a wrong place, or an invariant of a range or a change does not hold."""
        for segment, owned in self.ranges.items():
            assert owned.segment_id == segment, f"segment {owned.segment_id} is found as {segment}"
            owned.check_invariants()
        self.changes.check_invariants()
        self._board.check_invariants()

    def _former_of(self, asker: Asker, frames: Sequence[bytes]) -> OwnedRange | None:
        """The fenced parent that a request is for, if it is a read for a child or goes on with a scan; else None."""
        header = asker.header
        owned = self.ranges.get(header.segment) or self.changes.former.get(header.segment)
        if owned is None or owned.epoch != header.epoch or not owned.role.is_fenced:
            return None
        if header.op == Op.GET and header.flags & Flag.OF_PARENT and asker.link == ROUTER:
            return owned
        return owned if header.op in (Op.SCAN, Op.END_SCAN) and has_cursor(frames) else None

    def _open(self, relative: Relative, epoch: int, inheritance: Inheritance | None) -> OwnedRange:
        """Open a parent, or a child, which may have no files yet and reads its inheritance then."""
        assignment = Assignment(relative.segment, relative.start, relative.end, epoch, create=False)
        return self._opened(assignment, inheritance)

    def _window_in_files(self, segment: int) -> DedupWindow:
        """The dedup window of a segment that is given up: what its manifest says, or nothing if that is unreadable."""
        try:
            document = read_manifest(self._filesystem, self._store, segment).dedup
            return DedupWindow.from_document(document).incomplete()
        except (Corruption, StorageFailure, FileNotFoundError):
            return DedupWindow().incomplete()

    def _opened(self, assignment: Assignment, inheritance: Inheritance | None = None) -> OwnedRange:
        version_logged = self._versions.get(assignment.segment, 0)
        common = self._filesystem, self._store, assignment, self._cache, version_logged
        return open_range(*common) if inheritance is None else open_child(*common, inheritance)
