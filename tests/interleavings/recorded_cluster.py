"""A whole cluster that records its history: real cores of router and workers, jobs and files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shardstore.files.documents import TEMPORARY_SUFFIX
from shardstore.files.file_names import SEGMENTS
from shardstore.seams.effects import Effect, JobFinished
from shardstore.segment_options import DEFAULTS
from shardstore.wire.wire_format import Op, Status, decode_header
from shardstore.workers.jobs.run import run
from shardstore.workers.jobs.specs import JobResult
from tests.interleavings.history import History
from tests.interleavings.recorded_boards import FILTERS, RecordedBoards
from tests.simulation.sim_disk import Directory, Inode
from tests.simulation.sim_filesystem import SimFilesystem
from tests.unit.topology_driver import CLIENT, TopologyDriver

KEY = b"k"
OTHER = b"other"
"""A key of the same range whose bit is in another byte of a filter."""
ELSEWHERE = b"\x90"
"""A key of the other range, if there is one."""
_WATCHED = (KEY, OTHER, ELSEWHERE)


class RecordedFilesystem(SimFilesystem):
    """Records what is under a name of the segments whenever a name changes."""

    cluster: RecordedCluster

    def rename(self, source: str, target: str) -> None:
        self.cluster.note_files()
        super().rename(source, target)
        self.cluster.note_files()

    def remove(self, path: str) -> None:
        super().remove(path)
        self.cluster.note_files()


class RecordedCluster(TopologyDriver):
    """Writes of a key have numbers, which are their values too."""

    def __init__(self, workers: int = 1, boundaries: Sequence[str] = (), filters: int = FILTERS) -> None:
        self.history = History()
        self._numbers: dict[int, tuple[list[bytes], int]] = {}
        super().__init__(workers=workers, boundaries=boundaries, boards=RecordedBoards(self.history, filters))
        for key in (KEY, OTHER):
            self.write(0, [key])
        self.flush()
        self.settle()
        self.history.begin()

    # ---------------------------------------------------------------- what clients ask for

    def write(self, number: int, keys: Sequence[bytes] = (KEY,)) -> None:
        """Write these keys, which belong to one range, and run the cluster until the write is acknowledged."""
        self.ask_write(number, keys)
        self.settle()
        assert self.history.latest(("shown", keys[0])) == number

    def ask_write(self, number: int, keys: Sequence[bytes] = (KEY,)) -> None:
        """Send a write."""
        self._note("begun", keys, number)
        self._numbers[self.sequence + 1] = [*keys], number
        self.put(dict.fromkeys(keys, b"%d" % number))

    def clear(self, number: int) -> None:
        """Delete all keys of the range of KEY with the write of this number, and run until it is acknowledged."""
        route = self.map.route_of(KEY)
        cleared = self.map.range_of(route.segment)
        for key in (KEY, OTHER):
            self.history.store(("cleared", key), number)
        self._note("begun", (KEY, OTHER), number)
        self._numbers[self.sequence + 1] = [KEY, OTHER], number
        self.ask(Op.DELETE_RANGE, [cleared.start, cleared.end], route)
        self.settle()
        assert self.history.latest(("shown", KEY)) == number

    def flush(self) -> None:
        """Ask for a flush of the range of KEY."""
        self.ask(Op.FLUSH, [], self.map.route_of(KEY))

    def compact(self) -> None:
        """Ask for a compaction of the range of KEY."""
        self.ask(Op.COMPACT, [], self.map.route_of(KEY))

    def sync_all(self) -> None:
        """End all syncs, but no job."""
        for place in self.workers.values():
            while place.syncs:
                self.sync(place.number)

    # ---------------------------------------------------------------- jobs, which run beside the worker

    def take_job(self, worker: int = 0) -> tuple[int, JobResult]:
        """Run the first job of a worker, which does not hear of it yet."""
        place = self.workers[worker]
        job = place.jobs.popleft()
        steps = run(job.spec, place.filesystem, DEFAULTS)
        try:
            while True:
                next(steps)
        except StopIteration as end:
            return job.job, end.value

    def end_job(self, taken: tuple[int, JobResult], worker: int = 0) -> None:
        """Tell the worker that its job has ended."""
        self.tell_worker(worker, JobFinished(*taken))

    # ---------------------------------------------------------------- what is recorded

    def new_filesystem(self) -> SimFilesystem:
        """The files as the next process of a worker uses them."""
        filesystem = RecordedFilesystem(self.disk, self.rng)
        filesystem.cluster = self
        return filesystem

    def note_files(self) -> None:
        """Store the content of all files of segments that have changed; None for those that are gone."""
        found = dict(self._files())
        for place in {place for place in self.history.places("file") if place[1] not in found}:
            self.history.store(place, None)
        for path, content in sorted(found.items()):
            self.history.store(("file", path), content)

    def note_routes(self) -> None:
        """Store the route map."""
        self.history.store(("routes",), self.map)

    def note_shown(self) -> None:
        """Store which writes the worker shows, after a process of it began."""
        for key in (KEY, OTHER):
            owned = self.owned(self.map.route_of(key).segment)
            newest = owned.get(key)
            assert isinstance(newest, bytes)
            self._note("shown", [key], int(newest))

    def _note(self, what: str, keys: Iterable[bytes], number: int) -> None:
        for key in keys:
            if key in _WATCHED:
                self.history.store((what, key), max(number, self.history.latest((what, key), 0)))

    def _files(self) -> Iterable[tuple[str, bytes]]:
        root = self.disk.find(SEGMENTS)
        if isinstance(root, Directory):
            for name, directory in root.seen.items():
                assert isinstance(directory, Directory)
                for file, inode in directory.seen.items():
                    assert isinstance(inode, Inode)
                    if not file.endswith(TEMPORARY_SUFFIX):
                        yield f"{SEGMENTS}/{name}/{file}", bytes(inode.cache)

    def _take_answer(self, frames: Sequence[bytes]) -> None:
        header = decode_header(bytes(frames[0]))
        if header.client == CLIENT and header.status == Status.OK and header.sequence in self._numbers:
            self._note("shown", *self._numbers[header.sequence])
        super()._take_answer(frames)

    def _take_of_router(self, effects: Sequence[Effect]) -> None:
        self.note_routes()
        super()._take_of_router(effects)
