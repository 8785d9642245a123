"""Boards as files: who finds which board, and what ends one."""

from __future__ import annotations

import errno
import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shardstore.errors import DiskFull, ReadOnlyDisk, StorageFailure
from shardstore.identifiers import DirectoryIdentity
from shardstore.limits import BOARD_FILTERS, BOARD_SLOTS
from shardstore.system import board_files
from shardstore.system.board_files import KEEPS_ORDER, BoardFiles
from shardstore.system.running_cluster import identity_of
from shardstore.wire.board_format import (
    CLOSED,
    FILTER_BYTES,
    MOVES_AT,
    SEQUENCE,
    SERVING,
    STATE,
    board_bytes,
    header,
    slot_at,
)
from shardstore.workers.board.worker_board import WorkerBoard

pytestmark = pytest.mark.skipif(not KEEPS_ORDER, reason="there are no boards on this host")

WORKER, STORE = 3, 0xFEDCBA9876543210
PLACE = "workers/0003/BOARD"


class Host:
    """A data directory and a runtime directory."""

    def __init__(self, root: Path) -> None:
        self.data, self.runtime = root / "data", root / "runtime"
        (self.data / "workers/0003").mkdir(parents=True)
        self.runtime.mkdir()
        self.place = self.data / PLACE
        self.board = self.runtime / "board-3"

    def files(self, identity: DirectoryIdentity | None = None) -> BoardFiles:
        """As a worker has them: it makes boards in the runtime directory."""
        return BoardFiles(str(self.data), identity or identity_of(self.data), str(self.board))

    def seen(self) -> BoardFiles:
        """As a client has them."""
        return BoardFiles(str(self.data), identity_of(self.data))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    def refused(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, refused)


def failing(*_arguments: object) -> int:
    raise ReadOnlyDisk("read-only")


# ---------------------------------------------------------------- a new board


def test_a_new_board_is_empty_but_for_its_header(host: Host) -> None:
    memory = host.files().renew(WORKER, STORE)
    assert memory is not None
    assert memory.words[:MOVES_AT].tolist() == header(WORKER, STORE, 1)
    assert not any(memory.words[MOVES_AT:])
    assert len(memory.words) == slot_at(BOARD_SLOTS)
    assert len(memory.filters) == BOARD_FILTERS * FILTER_BYTES
    assert not any(memory.filters)


def test_only_this_user_may_read_it(host: Host) -> None:
    host.files().renew(WORKER, STORE)
    assert {path.stat().st_mode & 0o777 for path in (host.place, host.board)} == {0o600}


def test_a_client_sees_what_the_worker_writes_and_cannot_write_itself(host: Host) -> None:
    memory = host.files().renew(WORKER, STORE)
    board = host.seen().open(WORKER, STORE)
    assert board is not None
    assert memory is not None
    assert board.is_current()
    slot = WorkerBoard(memory).slot_of(42)
    assert slot is not None
    slot.open(1, 2, has_active=True, has_runs=True)
    assert board.memory.words.tolist() == memory.words.tolist()
    memory.filters[5] = 9
    assert board.memory.filters[5] == 9
    for view in board.memory:
        with pytest.raises(TypeError):
            view[0] = 1


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_who_lets_go_of_a_board_has_no_descriptor_of_it(host: Host) -> None:
    before = descriptors()
    memory, board = host.files().renew(WORKER, STORE), host.seen().open(WORKER, STORE)
    assert memory is not None
    assert board is not None
    del memory, board
    assert descriptors() == before
    assert host.seen().open(WORKER, STORE + 1) is None
    assert host.seen().open(WORKER + 1, STORE) is None
    assert descriptors() == before, "refused"


# ---------------------------------------------------------------- the next process


def test_the_next_process_ends_the_board_of_who_has_it_open(host: Host) -> None:
    first = host.files().renew(WORKER, STORE)
    board = host.seen().open(WORKER, STORE)
    assert board is not None
    second = host.files().renew(WORKER, STORE)
    assert not board.is_current()
    again = host.seen().open(WORKER, STORE)
    assert again is not None
    assert again.is_current()
    assert first is not None
    assert second is not None
    second.filters[0] = 1
    assert (first.filters[0], again.memory.filters[0]) == (0, 1), "the former memory is not used again"
    assert again.memory.words[:7].tolist() == header(WORKER, STORE, 2)


def test_boards_of_other_workers_go_on(host: Host) -> None:
    (host.data / "workers/0004").mkdir()
    other = BoardFiles(str(host.data), None, str(host.runtime / "board-4"))
    other.renew(4, STORE)
    board = host.seen().open(4, STORE)
    host.files().renew(WORKER, STORE)
    assert board is not None
    assert board.is_current()


def test_the_next_process_ends_the_board_wherever_it_runs_and_whether_or_not_it_has_one(host: Host) -> None:
    host.files().renew(WORKER, STORE)
    board = host.seen().open(WORKER, STORE)
    assert BoardFiles(str(host.data), None).renew(WORKER, STORE) is None, "it has no place for a board"
    assert board is not None
    assert not board.is_current()
    assert host.seen().open(WORKER, STORE) is None


def test_the_incarnation_that_a_killed_process_left_alone_ends_the_board(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed after it raised the incarnation leaves no current board, and harms nobody."""
    host.files().renew(WORKER, STORE)
    board = host.seen().open(WORKER, STORE)
    with monkeypatch.context() as patches:
        patches.setattr(board_files, "_new_board", lambda path, words: None)
        assert host.files().renew(WORKER, STORE) is None
    assert board is not None
    assert not board.is_current()
    assert host.seen().open(WORKER, STORE) is None, "the board at that path is of the former incarnation"
    assert host.files().renew(WORKER, STORE) is not None
    again = host.seen().open(WORKER, STORE)
    assert again is not None
    assert again.is_current()


# ---------------------------------------------------------------- whose board it is


@pytest.mark.parametrize(("worker", "store"), [(WORKER, STORE + 1), (WORKER + 1, STORE)])
def test_the_board_of_another_store_or_worker_is_refused(host: Host, worker: int, store: int) -> None:
    host.files().renew(WORKER, STORE)
    os.symlink("0003", host.data / "workers/0004")
    assert host.seen().open(worker, store) is None


def test_the_board_of_another_user_is_refused(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.files().renew(WORKER, STORE)
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    assert host.seen().open(WORKER, STORE) is None


@pytest.mark.parametrize("size", [0, 100, board_bytes(BOARD_SLOTS, BOARD_FILTERS) - 1, 2**23])
def test_a_board_of_another_size_is_refused(host: Host, size: int) -> None:
    host.files().renew(WORKER, STORE)
    os.truncate(host.board, size)
    assert host.seen().open(WORKER, STORE) is None


def _truncated(host: Host) -> None:
    os.truncate(host.place, 100)


def _emptied(host: Host) -> None:
    os.truncate(host.place, 0)


def _of_zeros(host: Host) -> None:
    host.place.write_bytes(bytes(4096))


def _of_garbage(host: Host) -> None:
    host.place.write_bytes(b"\xff" * 4096)


def _with_another_path(path: bytes) -> Callable[[Host], None]:
    def damage(host: Host) -> None:
        content = host.place.read_bytes()
        host.place.write_bytes(content[:16] + path.ljust(4080, b"\0"))

    return damage


def _of_another_incarnation(host: Host) -> None:
    content = host.place.read_bytes()
    host.place.write_bytes(content[:8] + (77).to_bytes(8, "little") + content[16:])


DAMAGES: dict[str, Callable[[Host], None]] = {
    "BOARD is truncated": _truncated,
    "BOARD is empty": _emptied,
    "BOARD is of zeros": _of_zeros,
    "BOARD is of garbage": _of_garbage,
    "BOARD names nothing": _with_another_path(b""),
    "BOARD names a relative path": _with_another_path(b"board-3"),
    "BOARD names a directory": _with_another_path(b"/tmp"),
    "BOARD names what is not there": _with_another_path(b"/nowhere/board-3"),
    "BOARD names a path with a zero byte": _with_another_path(b"/tmp\0/x"),
    "BOARD has another incarnation": _of_another_incarnation,
    "BOARD is gone": lambda host: host.place.unlink(),
    "the board is gone": lambda host: host.board.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_whole_board_the_worker_is_asked_and_the_next_process_makes_one(host: Host, damage: str) -> None:
    host.files().renew(WORKER, STORE)
    DAMAGES[damage](host)
    assert host.seen().open(WORKER, STORE) is None
    assert host.files().renew(WORKER, STORE) is not None
    board = host.seen().open(WORKER, STORE)
    assert board is not None
    assert board.is_current()


def test_a_board_that_was_never_made_is_not_found(host: Host) -> None:
    assert host.seen().open(WORKER, STORE) is None
    assert not host.place.exists(), "a client makes nothing"


@pytest.mark.parametrize("name", ["place", "board"])
def test_no_symbolic_link_is_followed(host: Host, name: str) -> None:
    host.files().renew(WORKER, STORE)
    path: Path = getattr(host, name)
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    assert host.seen().open(WORKER, STORE) is None


def test_a_link_in_the_place_of_a_new_board_is_replaced_and_not_followed(host: Host) -> None:
    victim = host.runtime / "victim"
    victim.write_bytes(b"kept")
    host.board.symlink_to(victim)
    assert host.files().renew(WORKER, STORE) is not None
    assert victim.read_bytes() == b"kept"
    assert not host.board.is_symlink()


def test_on_a_host_without_ordered_stores_there_are_no_boards(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.files().renew(WORKER, STORE)
    board = host.seen().open(WORKER, STORE)
    monkeypatch.setattr(board_files, "KEEPS_ORDER", False)
    assert host.seen().open(WORKER, STORE) is None
    assert host.files().renew(WORKER, STORE) is None
    assert board is not None
    assert not board.is_current()


# ---------------------------------------------------------------- directories


def test_in_another_directory_of_the_same_name_nothing_is_found_or_made(host: Host) -> None:
    worker, client = host.files(), host.seen()
    assert worker.renew(WORKER, STORE) is not None
    host.data.rename(host.data.with_name("before"))
    (host.data / "workers/0003").mkdir(parents=True)
    assert client.open(WORKER, STORE) is None
    with pytest.raises(StorageFailure, match=" is another directory now"):
        worker.renew(WORKER, STORE)
    assert not host.place.exists()


def test_without_a_data_directory_the_worker_cannot_begin(host: Host) -> None:
    host.data.rename(host.data.with_name("gone"))
    files = BoardFiles(str(host.data), None, str(host.board))
    assert files.open(WORKER, STORE) is None
    with pytest.raises(StorageFailure):
        files.renew(WORKER, STORE)


def test_without_a_runtime_directory_there_is_no_board(host: Host) -> None:
    host.runtime.rmdir()
    assert host.files().renew(WORKER, STORE) is None
    assert host.seen().open(WORKER, STORE) is None


def test_on_a_read_only_disk_there_is_no_board(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "open", errno.EROFS)
    assert host.files().renew(WORKER, STORE) is None


def test_on_a_read_only_disk_the_slots_of_the_former_board_are_closed(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = host.files().renew(WORKER, STORE)
    assert memory is not None
    WorkerBoard(memory).slot_of(1).open(5, 1, False, False)  # type: ignore[union-attr]
    board = host.seen().open(WORKER, STORE)
    assert board is not None
    sequence, state = slot_at(0) + SEQUENCE, slot_at(0) + STATE
    before = board.memory.words[sequence]
    assert board.memory.words[state] == SERVING
    files = host.files()
    monkeypatch.setattr(files, "_end_former", failing)
    assert files.renew(WORKER, STORE) is None
    assert board.is_current()
    assert board.memory.words[state] == CLOSED
    assert board.memory.words[sequence] == before + 2, "readers who remember the slot see that it has changed"


@pytest.mark.skipif(not os.geteuid(), reason="root may write everywhere")
def test_where_this_user_may_not_write_the_worker_cannot_begin(host: Host) -> None:
    host.place.parent.chmod(0o500)
    try:
        with pytest.raises(StorageFailure):
            host.files().renew(WORKER, STORE)
    finally:
        host.place.parent.chmod(0o700)


# ---------------------------------------------------------------- no space


def test_on_a_full_disk_the_first_board_is_not_made(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patches:
        refuse(patches, "posix_fallocate", errno.ENOSPC)
        assert host.files().renew(WORKER, STORE) is None
    assert host.seen().open(WORKER, STORE) is None
    assert host.files().renew(WORKER, STORE) is not None, "the next process has one once there is space"


def test_a_former_board_that_cannot_be_ended_stops_the_worker(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.files().renew(WORKER, STORE)
    refuse(monkeypatch, "pwrite", errno.ENOSPC)
    with pytest.raises(DiskFull):
        host.files().renew(WORKER, STORE)
    board = host.seen().open(WORKER, STORE)
    assert board is not None
    assert board.is_current(), "nobody serves in its place"


def test_without_memory_for_a_new_board_the_former_one_is_ended_all_the_same(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.files().renew(WORKER, STORE)
    board = host.seen().open(WORKER, STORE)
    allocate = os.posix_fallocate

    def no_memory(descriptor: int, offset: int, length: int) -> None:
        if length > 4096:
            raise OSError(errno.ENOSPC, "no space")
        allocate(descriptor, offset, length)

    with monkeypatch.context() as patches:
        patches.setattr(os, "posix_fallocate", no_memory)
        assert host.files().renew(WORKER, STORE) is None
    assert board is not None
    assert not board.is_current()
    assert host.seen().open(WORKER, STORE) is None
