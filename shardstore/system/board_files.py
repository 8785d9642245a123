"""The boards of workers as memory-mapped files. See wire/board_format.py for what is in them.

A board is in the runtime directory, which is usually memory: where it is on a disk, a put may wait for that. BOARD in
the data directory names the current board (files/board_place.py).
"""

from __future__ import annotations

import mmap
import os
import platform
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from shardstore.errors import NotWritable, ReadOnlyDisk, StorageFailure
from shardstore.files.board_place import (
    INCARNATION_AT,
    MAGIC,
    PATH_AT,
    PLACE_BYTES,
    incarnation_in,
    next_incarnation,
    path_in,
)
from shardstore.files.file_names import board_place
from shardstore.identifiers import DirectoryIdentity
from shardstore.limits import BOARD_FILTERS, BOARD_SLOTS
from shardstore.seams.boards import BoardMemory
from shardstore.system.posix_filesystem import failure_of
from shardstore.wire.board_format import CLOSED, SEQUENCE, STATE, WORD_BYTES, board_bytes, filters_at, header, slot_at

_BOARD_BYTES = board_bytes(BOARD_SLOTS, BOARD_FILTERS)
_MODE = 0o600
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW
KEEPS_ORDER = platform.machine() in ("x86_64", "AMD64")
"""Whether other processors see the stores of this one in their order, and it carries out its loads in order. Elsewhere
there are no boards until a test there has shown that they are right."""


class MappedBoard:
    """A board that this process has mapped. `place`: the words of BOARD; `inode` returns the inode of that name."""

    def __init__(self, memory: BoardMemory, place: memoryview, incarnation: int, inode: Callable[[], int]) -> None:
        self.memory = memory
        self._place = place
        self._incarnation = incarnation
        self._inode = inode
        self._own_inode = inode()

    def is_current(self) -> bool:
        """Whether no later process of the worker has begun."""
        return bool(self._place[INCARNATION_AT] == self._incarnation)

    def is_found(self) -> bool:
        """Whether the store's directory still has the BOARD that is mapped here."""
        return self._own_inode == self._inode()


class BoardFiles:
    """The boards of the store in the directory `data`, whose identity is known. New ones are made at `path`."""

    def __init__(self, data: str, identity: DirectoryIdentity | None, path: str = "") -> None:
        self._data = data
        self._identity = identity
        self._path = path if KEEPS_ORDER else ""

    def renew(self, worker: int, store: int) -> BoardMemory | None:
        """End the board of the worker's former process, and make a new one. Raises StorageFailure."""
        place = board_place(worker)
        try:
            with self._opened(place, os.O_RDWR | os.O_CREAT) as descriptor:
                incarnation = self._end_former(descriptor, place)
        except ReadOnlyDisk:  # the board itself can be written; the next process begins when the disk can
            self._close_former(worker, store)
            return None
        return _new_board(self._path, header(worker, store, incarnation)) if incarnation and self._path else None

    def open(self, worker: int, store: int) -> MappedBoard | None:
        """Map the current board of a worker; None if there is none, or if it belongs to another user."""
        return self._open(worker, store)

    def _open(self, worker: int, store: int, to_write: bool = False) -> MappedBoard | None:
        if not KEEPS_ORDER:
            return None
        with suppress(OSError, ValueError, StorageFailure):
            with self._opened(board_place(worker), os.O_RDONLY) as descriptor:
                place = _mapped(descriptor, PLACE_BYTES)
            words = place.cast("Q")
            incarnation = words[INCARNATION_AT]
            path = os.fsdecode(path_in(bytes(place)))
            if bytes(place[: len(MAGIC)]) != MAGIC or not os.path.isabs(path):
                return None
            with _descriptor(path, os.O_RDWR if to_write else os.O_RDONLY) as descriptor:
                memory = _memory_of(_mapped(descriptor, _BOARD_BYTES, to_write))
            expected = header(worker, store, incarnation)
            if memory.words[: len(expected)].tolist() == expected:
                return MappedBoard(memory, words, incarnation, partial(self._inode_of, board_place(worker)))
        return None

    def _close_former(self, worker: int, store: int) -> None:
        """Close each slot of the former board, if it is there. Clients that have it mapped ask the worker then."""
        former = self._open(worker, store, to_write=True)
        if former is not None:
            for slot in range(BOARD_SLOTS):
                words, at = former.memory.words, slot_at(slot)
                words[at + STATE] = CLOSED
                words[at + SEQUENCE] = (words[at + SEQUENCE] | 1) + 1  # even, as the process may have died in a change

    def _inode_of(self, path: str) -> int:
        """The inode of a file in the data directory; 0 if there is none."""
        try:
            with self._opened(path, os.O_RDONLY) as descriptor:
                return os.fstat(descriptor).st_ino
        except StorageFailure:
            return 0

    def _end_former(self, descriptor: int, place: str) -> int:
        """Raise the incarnation in BOARD, and note the path of the new board. Returns the incarnation; 0 for no board.

        Every read of the former board is refused from then on.
        """
        is_new = os.fstat(descriptor).st_size < PLACE_BYTES
        try:
            os.posix_fallocate(descriptor, 0, PLACE_BYTES)
            incarnation = next_incarnation(incarnation_in(os.pread(descriptor, PATH_AT, 0)))
            os.pwrite(descriptor, incarnation.to_bytes(WORD_BYTES, "little"), INCARNATION_AT * WORD_BYTES)
            os.pwrite(descriptor, os.fsencode(self._path).ljust(PLACE_BYTES - PATH_AT, b"\0"), PATH_AT)
            os.pwrite(descriptor, MAGIC, 0)
        except OSError as error:
            failure = failure_of("write", place, error)
            if is_new and isinstance(failure, NotWritable):  # there has been no board
                return 0
            raise failure from error
        return incarnation

    @contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[int]:
        """Open a file of the data directory, if that is still the same directory."""
        try:
            with _descriptor(self._data, os.O_RDONLY | os.O_DIRECTORY) as root:
                found = os.fstat(root)
                if self._identity is not None and (found.st_dev, found.st_ino) != self._identity:
                    raise StorageFailure(f"{self._data} is another directory now")
                with _descriptor(path, flags, root) as descriptor:
                    yield descriptor
        except OSError as error:
            raise failure_of("open", path, error) from error


def _new_board(path: str, words: list[int]) -> BoardMemory | None:
    """Make a board with this header; None if there is no memory for it."""
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
        with _descriptor(path, os.O_RDWR | os.O_CREAT | os.O_EXCL) as descriptor:
            os.posix_fallocate(descriptor, 0, _BOARD_BYTES)
            memory = _memory_of(memoryview(mmap.mmap(descriptor, _BOARD_BYTES)))
    except OSError:
        return None
    for at, word in enumerate(words):
        memory.words[at] = word
    return memory


def _memory_of(board: memoryview) -> BoardMemory:
    at = filters_at(BOARD_SLOTS)
    return BoardMemory(board[:at].cast("Q"), board[at:])


def _mapped(descriptor: int, size: int, to_write: bool = False) -> memoryview:
    """Map a file that must have this size and belong to this user. Raises ValueError."""
    found = os.fstat(descriptor)
    if found.st_size != size or found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
        raise ValueError("another kind of file")
    return memoryview(mmap.mmap(descriptor, size, access=mmap.ACCESS_WRITE if to_write else mmap.ACCESS_READ))


@contextmanager
def _descriptor(path: str, flags: int, directory: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, flags | _SAFE, _MODE, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
