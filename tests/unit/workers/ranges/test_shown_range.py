"""What a range shows on the board: a client reads the files while a real worker writes, seals, drains and restarts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from shardstore.client.direct.ask import IN_MEMORY, Ask
from shardstore.client.direct.reader import Reader
from shardstore.identifiers import Epoch, SegmentId, WorkerId
from shardstore.key_range import EVERYTHING
from shardstore.limits import MIB
from shardstore.options import Durability
from shardstore.seams.effects import StopRequested
from shardstore.wire.board_format import ACTIVE, ANY_KEY, FIRST_FILTER, NO_KEYS, SEALED, SEGMENT, slot_at
from shardstore.wire.route_map import Route, RouteMap
from shardstore.wire.wire_format import Op, Status
from shardstore.workers.board.range_slot import FILTERED_KEYS_MAX
from shardstore.workers.board.worker_board import WorkerBoard
from shardstore.workers.overlay import overlay
from shardstore.workers.ranges.dedup import DedupWindow
from shardstore.workers.ranges.owned_range import OwnedRange
from shardstore.workers.ranges.role import ADOPTED, FENCE_WANTED, FENCED, ORDINARY, WAITING, Role
from tests.simulation.sim_boards import SimBoards
from tests.unit.set_wall import SetWall
from tests.unit.worker_driver import STORE, WorkerDriver, reopened

KEYS = [b"key %d" % number for number in range(8)]
LARGE = {b"large %d" % number: b"1" for number in range(FILTERED_KEYS_MAX + 1)}


class Shown:
    """A worker with one range, and a client that reads directly by a route of this epoch."""

    def __init__(self, worker: WorkerDriver) -> None:
        self.worker = worker
        self.epoch = worker.epoch
        assert worker.filesystem is not None
        self.reader = Reader(worker.filesystem, worker.boards, SetWall(), STORE, MIB, 100)

    @property
    def routes(self) -> RouteMap:
        return RouteMap(1, (Route(b"", SegmentId(1), WorkerId(0), Epoch(self.epoch), created=True),))

    def get(self, key: bytes) -> object:
        return self.reader.get(key, self.routes)

    def field(self, field: int) -> int:
        words = self.worker.boards.current[0].memory.words
        assert words[slot_at(0) + SEGMENT] == 1
        return words[slot_at(0) + field]

    def flush(self) -> None:
        self.worker.settle()
        sequence = self.worker.ask(Op.FLUSH)
        self.worker.settle()
        assert self.worker.status(sequence) is Status.OK

    def check(self, keys: Sequence[bytes] = KEYS) -> int:
        """Check that each key is read as the worker has it, if it is read at all. Returns how many were."""
        found = [self.get(key) for key in keys]
        read = {key: value for key, value in zip(keys, found, strict=True) if not isinstance(value, Ask)}
        if read:
            assert read == dict(zip(read, self.worker.get([*read]), strict=True))
        return len(read)


@pytest.fixture
def shown(worker: WorkerDriver) -> Shown:
    return Shown(worker)


def test_an_empty_range_can_be_read_at_once(shown: Shown) -> None:
    assert shown.get(b"absent") is None


def test_a_write_is_asked_of_the_worker_until_it_is_drained(shown: Shown) -> None:
    shown.worker.put({KEYS[0]: b"1"})
    shown.worker.settle()
    assert isinstance(shown.get(KEYS[0]), Ask)
    assert shown.get(KEYS[1]) is None
    shown.flush()
    assert shown.get(KEYS[0]) == b"1"
    assert (shown.field(ACTIVE), shown.field(SEALED)) == (NO_KEYS, NO_KEYS)


def test_a_write_shows_before_it_is_acknowledged(shown: Shown) -> None:
    shown.worker.put({KEYS[0]: b"1"})
    shown.flush()
    written = shown.worker.put({KEYS[0]: b"2"})
    assert shown.worker.status(written) is None
    assert shown.get(KEYS[0]) == b"1"
    shown.worker.sync()
    assert shown.worker.status(written) is Status.OK
    assert isinstance(shown.get(KEYS[0]), Ask)


def test_a_write_during_a_drain_is_shown_after_it(shown: Shown) -> None:
    shown.worker.put({KEYS[0]: b"1", KEYS[1]: b"1"})
    shown.worker.settle()
    shown.worker.ask(Op.FLUSH)
    shown.worker.put({KEYS[0]: b"2"})
    while shown.worker.syncs:
        shown.worker.sync()
    assert shown.field(ACTIVE) >= FIRST_FILTER
    assert shown.field(SEALED) >= FIRST_FILTER
    assert [shown.get(key) for key in KEYS[:3]] == [IN_MEMORY, IN_MEMORY, None]
    shown.worker.run_job()
    assert [shown.get(key) for key in KEYS[:3]] == [IN_MEMORY, b"1", None]
    shown.flush()
    assert shown.get(KEYS[0]) == b"2"


def test_a_delete_is_shown_like_a_write(shown: Shown) -> None:
    shown.worker.put({KEYS[0]: b"1"})
    shown.flush()
    shown.worker.delete([KEYS[0]])
    shown.worker.settle()
    assert isinstance(shown.get(KEYS[0]), Ask)
    shown.flush()
    assert shown.get(KEYS[0]) is None


def test_after_a_large_write_all_keys_are_asked_until_it_is_drained(shown: Shown) -> None:
    shown.worker.put(LARGE)
    shown.worker.settle()
    assert shown.field(ACTIVE) == ANY_KEY
    assert isinstance(shown.get(b"absent"), Ask)
    shown.flush()
    assert shown.check([*LARGE, b"absent"]) == len(LARGE) + 1


def test_a_compaction_is_a_new_version(shown: Shown) -> None:
    for value in (b"1", b"2"):
        shown.worker.put({KEYS[0]: value})
        shown.flush()
        assert shown.get(KEYS[0]) == value
    shown.worker.ask(Op.COMPACT)
    shown.worker.settle()
    assert shown.worker.range_statistics()["tables"] == 1
    assert shown.get(KEYS[0]) == b"2"


def test_what_was_replayed_is_asked_of_the_worker(shown: Shown) -> None:
    shown.worker.put({KEYS[0]: b"1"})
    shown.flush()
    shown.worker.put({KEYS[0]: b"2"})
    shown.worker.settle()
    again = Shown(reopened(shown.worker, boards=shown.worker.boards))
    assert again.field(ACTIVE) >= FIRST_FILTER
    assert isinstance(again.get(KEYS[0]), Ask)
    assert again.get(KEYS[1]) is None, "only the bits of what was replayed are set"
    again.flush()
    assert again.get(KEYS[0]) == b"2"


def test_the_board_of_a_killed_process_is_not_read_any_more(shown: Shown) -> None:
    shown.worker.put({KEYS[0]: b"1"})
    shown.flush()
    assert shown.get(KEYS[0]) == b"1"
    reopened(shown.worker, boards=shown.worker.boards)
    assert isinstance(shown.get(KEYS[0]), Ask)


def test_a_worker_that_stops_in_order_closes_its_board(shown: Shown) -> None:
    shown.worker.put({KEYS[0]: b"1"})
    shown.flush()
    assert shown.get(KEYS[0]) == b"1"
    shown.worker.handle(StopRequested())
    shown.worker.settle()
    assert shown.worker.stopped is not None
    assert isinstance(shown.get(KEYS[0]), Ask)


def test_a_later_epoch_is_told(shown: Shown) -> None:
    shown.worker.put({KEYS[0]: b"1"})
    shown.flush()
    shown.worker.epoch = 7
    shown.worker.serve()
    assert isinstance(shown.get(KEYS[0]), Ask)
    shown.epoch = 7
    assert shown.get(KEYS[0]) == b"1"


def test_without_a_board_the_worker_serves_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimBoards, "renew", lambda boards, worker, store: None)
    shown = Shown(WorkerDriver(tmp_path).serve())
    shown.worker.put({KEYS[0]: b"1"})
    shown.flush()
    assert isinstance(shown.get(KEYS[0]), Ask)
    assert shown.worker.get([KEYS[0]]) == [b"1"]


def test_a_layer_that_is_set_aside_for_a_scan_is_shown(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "SET_ASIDE_BYTES_MIN", 0)
    shown.worker.put({KEYS[0]: b"1", KEYS[1]: b"1"})
    shown.worker.settle()
    owned = shown.worker.core._ranges[1]
    pinned = owned.pin(0)
    shown.worker.put({KEYS[2]: b"1"})
    shown.worker.settle()
    assert len(owned.overlay.runs) == 1
    assert [shown.get(key) for key in KEYS[:4]] == [IN_MEMORY, IN_MEMORY, IN_MEMORY, None]
    pinned.release()
    shown.flush()
    assert shown.check() == len(KEYS)


@pytest.mark.parametrize("durability", Durability)
@pytest.mark.parametrize("seed", range(4))
def test_a_direct_read_is_never_stale(tmp_path: Path, seed: int, durability: Durability) -> None:
    """Writes, syncs, drains, compactions, restarts and reads in a drawn order."""
    rng = Random(seed)
    shown = Shown(WorkerDriver(tmp_path, durability=durability).serve())
    read = 0
    for number in range(150):
        worker = shown.worker
        step = rng.choice(("write", "write", "delete", "large", "flush", "compact", "sync", "job", "job", "restart"))
        if step == "write":
            worker.put({rng.choice(KEYS): b"%d" % number})
        elif step == "delete":
            worker.delete([rng.choice(KEYS)])
        elif step == "large" and rng.random() < 0.3:
            worker.put(LARGE | {rng.choice(KEYS): b"%d" % number})
        elif step in ("flush", "compact"):
            worker.ask(Op[step.upper()])
        elif step == "sync" and worker.syncs:
            worker.sync()
        elif step == "job" and worker.jobs:
            worker.run_job()
        elif step == "restart" and rng.random() < 0.2:
            shown.check()
            former = shown.reader
            shown = Shown(reopened(worker, boards=worker.boards))
            found = former.get(KEYS[0], shown.routes)
            assert isinstance(found, Ask) or [found] == shown.worker.get(KEYS[:1])
        read += shown.check()
    assert read > 100


# ---------------------------------------------------------------- which ranges show themselves


def owned_range(shown: Shown) -> OwnedRange:
    return shown.worker.core._ranges[1]


def fresh_slot() -> tuple[WorkerBoard, int]:
    return WorkerBoard(SimBoards().renew(0, 1)), 1


@pytest.mark.parametrize("role", [WAITING, ADOPTED, FENCE_WANTED, FENCED])
def test_only_an_ordinary_range_is_shown(shown: Shown, role: Role) -> None:
    board, segment = fresh_slot()
    owned, slot = owned_range(shown), board.slot_of(segment)
    assert slot is not None
    owned.slot = None
    owned.role = role
    owned.show(slot)
    assert (owned.slot, slot.is_open) == (None, False)
    owned.role = ORDINARY
    owned.show(None)
    assert owned.slot is None
    owned.show(slot)
    assert owned.slot is slot
    assert slot.is_open


def test_a_range_without_files_is_not_shown() -> None:
    board, segment = fresh_slot()
    slot = board.slot_of(segment)
    assert slot is not None
    owned = OwnedRange(1, EVERYTHING, 1, None, DedupWindow())
    owned.show(slot)
    assert not slot.is_open


def test_a_range_that_is_shown_is_not_shown_anew(shown: Shown) -> None:
    shown.worker.put({KEYS[0]: b"1"})
    shown.worker.settle()
    owned = owned_range(shown)
    owned.show(owned.slot)
    assert shown.field(ACTIVE) >= FIRST_FILTER, "the filter is kept"


def test_a_fence_closes_the_slot(shown: Shown) -> None:
    owned = owned_range(shown)
    assert owned.slot is not None
    owned.want_fence()
    assert owned.slot.is_open, "it still accepts writes"
    owned.fence(99)
    assert not owned.slot.is_open
    assert isinstance(shown.get(b"absent"), Ask)


def test_an_epoch_that_is_not_later_changes_nothing(shown: Shown) -> None:
    owned = owned_range(shown)
    owned.raise_epoch(1)
    owned.raise_epoch(0)
    assert shown.get(b"absent") is None


def test_the_check_of_a_worker_finds_what_is_broken_on_its_board(shown: Shown) -> None:
    shown.worker.core.check_invariants()
    shown.worker.boards.current[0].memory.words[slot_at(0) + ACTIVE] = ANY_KEY
    with pytest.raises(AssertionError, match="other filters than are known"):
        shown.worker.core.check_invariants()
