"""The filesystem seam over a SimDisk, as one incarnation of a process sees it.

A process that dies in a call raises SimCrash from it, a BaseException that no `except Exception` catches. Unlike after
SIGKILL, `finally` and `with` blocks still run then. So the calls of a dead incarnation do nothing: closing returns, and
all others raise SimCrash again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from shardstore.errors import DiskFull, StorageFailure
from shardstore.identifiers import Buffer
from tests.simulation.sim_disk import Directory, Inode, Node, SimDisk, Snapshot


class SimCrash(BaseException):
    """Raised where the process ended."""


class PendingSync:
    """A sync that has begun. When it finishes, only what was in the file at its start becomes stable."""

    def __init__(self, file: SimFile, snapshot: Snapshot) -> None:
        self._file = file
        self._snapshot = snapshot

    def finish(self) -> None:
        """Finish the sync, or raise StorageFailure."""
        self._file.finish_sync(self._snapshot)


class SimFile:
    """An open file of one incarnation."""

    def __init__(self, filesystem: SimFilesystem, path: str, inode: Inode, writable: bool) -> None:
        self._filesystem = filesystem
        self._path = path
        self._inode = inode
        self._writable = writable
        self._open = True
        self._sync_failure: StorageFailure | None = None

    @property
    def path(self) -> str:
        """The path it was opened under."""
        return self._path

    def size(self) -> int:
        """Bytes in the file."""
        self._check()
        return len(self._inode.cache)

    def append(self, buffers: Sequence[Buffer]) -> None:
        """Append bytes to the cache. A crash or a full disk leaves any prefix of them."""
        self._check_writable("append to")
        data = b"".join(buffers)
        try:
            self._filesystem.step()
        except SimCrash:
            self._inode.append(data[: self._filesystem.draw(len(data))])
            raise
        room = self._filesystem.disk.free()
        self._inode.append(data[:room])
        if len(data) > room:
            raise DiskFull(f"disk full: cannot append to {self._path}: no space left on device")

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer only at the end of the file."""
        self._check()
        return bytes(self._inode.cache[offset : offset + length])

    def truncate(self, length: int) -> None:
        """Truncate the file to `length` bytes."""
        self._check_writable("truncate")
        self._filesystem.step()
        self._inode.truncate(length)

    def sync(self) -> None:
        """Put content and size on stable storage."""
        self._filesystem.step()
        self.begin_sync().finish()

    def begin_sync(self) -> PendingSync:
        """The first half of `sync`, for a sync that takes time."""
        self._check()
        return PendingSync(self, self._inode.snapshot())

    def finish_sync(self, snapshot: Snapshot) -> None:
        """The second half of `sync`."""
        self._filesystem.check_alive()
        if self._sync_failure is None and self._filesystem.sync_fails():
            self._inode.fail_to_sync(snapshot, self._filesystem.random)
            self._sync_failure = StorageFailure(f"cannot sync {self._path}: input/output error")
        if self._sync_failure is not None:
            raise self._sync_failure
        self._inode.make_stable(snapshot)

    def drop_cache(self) -> None:
        """Let reads come from the disk."""
        self._check()
        self._inode.drop_cache()

    def close(self) -> None:
        """Release the handle."""
        self._open = False

    def _check(self) -> None:
        self._filesystem.check_alive()
        if not self._open:
            raise StorageFailure(f"cannot use {self._path}: bad file descriptor")

    def _check_writable(self, operation: str) -> None:
        self._check()
        if not self._writable:
            raise StorageFailure(f"cannot {operation} {self._path}: bad file descriptor")


class SimLock:
    """A lock file held by one incarnation."""

    def __init__(self, inode: Inode) -> None:
        self._inode: Inode | None = inode
        inode.locked = True

    def release(self) -> None:
        """Release the lock; releasing twice is allowed."""
        if self._inode is not None:
            self._inode.locked = False
            self._inode = None


class SimFilesystem:
    """One incarnation's view of a disk. `crash_in` counts down changing calls to a crash, `fail_sync_in` syncs to a
    failure.
    """

    def __init__(self, disk: SimDisk, rng: random.Random, on_crash: Callable[[], None] = lambda: None) -> None:
        self.disk = disk
        self.random = rng
        self.alive = True
        self.calls = 0
        self.crash_in: int | None = None
        self.fail_sync_in: int | None = None
        self._on_crash = on_crash
        self._locks: list[SimLock] = []
        self._unsyncable: dict[str, StorageFailure] = {}
        disk.users.append(self)

    # Life of the incarnation.

    def kill(self) -> None:
        """End the incarnation: its handles are dead and its locks free."""
        if self.alive:
            self.alive = False
            self.disk.users.remove(self)
            for lock in self._locks:
                lock.release()

    def check_alive(self) -> None:
        """Raise SimCrash after the end."""
        if not self.alive:
            raise SimCrash

    def step(self) -> None:
        """Count a call that changes something, and end the incarnation if its crash is due."""
        self.check_alive()
        self.calls += 1
        if self.crash_in is not None:
            self.crash_in -= 1
            if self.crash_in <= 0:
                self.kill()
                self._on_crash()
                raise SimCrash

    def sync_fails(self) -> bool:
        """Whether the sync that ends now must fail."""
        if self.fail_sync_in is None:
            return False
        self.fail_sync_in -= 1
        if self.fail_sync_in > 0:
            return False
        self.fail_sync_in = None
        return True

    def draw(self, bound: int) -> int:
        """A random number from 0 to `bound`."""
        return self.random.randint(0, bound)

    # The seam.

    def create(self, path: str) -> SimFile:
        """Create an empty file, open for append and read. Raises FileExistsError."""
        self.step()
        directory, name = self._place(path)
        if name in directory.seen:
            raise FileExistsError(path)
        inode = Inode()
        self.disk.change(directory, {name: inode})
        return SimFile(self, path, inode, writable=True)

    def open(self, path: str) -> SimFile:
        """Open an existing file for reading. Raises FileNotFoundError."""
        return SimFile(self, path, self._file("open", path), writable=False)

    def map(self, path: str) -> memoryview:
        """The current content."""
        return memoryview(bytes(self._file("map", path).cache))

    def rename(self, source: str, target: str) -> None:
        """Rename a file or directory within its directory; a file replaces one with the new name."""
        self.step()
        inode = self._node(source)
        if inode is None:
            raise FileNotFoundError(source)
        directory, name = self._place(source)
        target_directory, target_name = self._place(target)
        assert directory is target_directory, "no part of the store renames across directories"
        if isinstance(directory.seen.get(target_name), Directory):
            raise StorageFailure(f"cannot rename {source}: is a directory")
        self.disk.change(directory, {name: None, target_name: inode})

    def link(self, source: str, target: str) -> None:
        """Add a name for the file. Raises FileNotFoundError, FileExistsError."""
        self.step()
        inode = self._file("link", source)
        directory, name = self._place(target)
        if name in directory.seen:
            raise FileExistsError(target)
        self.disk.change(directory, {name: inode})

    def remove(self, path: str) -> None:
        """Remove a file's name. Raises FileNotFoundError."""
        self.step()
        self._file("remove", path)
        directory, name = self._place(path)
        self.disk.change(directory, {name: None})

    def remove_gradually(self, path: str) -> None:
        """Remove a file's name. Raises FileNotFoundError."""
        self._file("remove", path).is_cut = True
        SimFilesystem.remove(self, path)

    def make_directory(self, path: str) -> None:
        """Make the directory and its missing parents, with durable names."""
        parts = _inside(path).split("/")
        for depth in range(len(parts)):
            parent = self._directory("make directory", "/".join(parts[:depth]))
            node = parent.seen.get(parts[depth])
            if isinstance(node, Inode):
                raise StorageFailure(f"cannot make directory {path}: not a directory")
            if node is None:
                self.step()
                self.disk.change(parent, {parts[depth]: Directory()})
            self.sync_directory("/".join(parts[:depth]))

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory. Raises FileNotFoundError."""
        self.step()
        if self._directory("remove directory", path).seen:
            raise StorageFailure(f"cannot remove directory {path}: directory not empty")
        parent, name = self._place(path)
        self.disk.change(parent, {name: None})

    def list_directory(self, path: str) -> list[str]:
        """The names in a directory, sorted; empty if there is no such directory."""
        return sorted(self._directory("list", path).seen) if self._node(path) is not None else []

    def exists(self, path: str) -> bool:
        """Whether a file or directory with this path exists."""
        return self._node(path) is not None

    def sync_directory(self, path: str) -> None:
        """Make the names of the directory stable. A failure is final, and names are as likely to survive as before."""
        self.step()
        directory = self._directory("sync directory", path)
        if path not in self._unsyncable and self.sync_fails():
            self._unsyncable[path] = StorageFailure(f"cannot sync directory {path}: input/output error")
        if path in self._unsyncable:
            raise self._unsyncable[path]
        directory.sync()

    def forget_failed_sync(self, path: str) -> None:
        """Let a directory be synced again whose sync failed."""
        self._unsyncable.pop(path, None)

    def lock(self, path: str) -> SimLock | None:
        """Create the lock file if it is missing and lock it; None if it is locked."""
        if not self.exists(path):
            self.create(path).close()
        inode = self._file("lock", path)
        if inode.locked:
            return None
        lock = SimLock(inode)
        self._locks.append(lock)
        return lock

    def _node(self, path: str) -> Node | None:
        self.check_alive()
        return self.disk.find(_inside(path))

    def _file(self, operation: str, path: str) -> Inode:
        node = self._node(path)
        if node is None:
            raise FileNotFoundError(path)
        if isinstance(node, Directory):
            raise StorageFailure(f"cannot {operation} {path}: is a directory")
        return node

    def _directory(self, operation: str, path: str) -> Directory:
        node = self._node(path)
        if node is None:
            raise FileNotFoundError(path)
        if isinstance(node, Inode):
            raise StorageFailure(f"cannot {operation} {path}: not a directory")
        return node

    def _place(self, path: str) -> tuple[Directory, str]:
        parent, _, name = _inside(path).rpartition("/")
        return self._directory("use", parent), name


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} leaves the root of the filesystem")
    return path
