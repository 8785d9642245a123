"""The real filesystem: raw descriptors. Every path is opened relative to the root directory's descriptor.

Nothing is buffered here: buffers would hide which bytes the operating system has after a short write.

Large files are removed from their end, piece by piece. A filesystem frees all blocks of a deleted file at once, and
until then no `fdatasync` of another file returns. On ext4 with `discard` this takes 1 ms per MiB, so a table of 256 MiB
would delay all writers of a durable store by 0.3 s. RocksDB truncates files before it deletes them for the same reason
(`bytes_max_delete_chunk`). Only a file that has no other name and is open nowhere may be truncated, as a mapping would
lose its pages. So every open file holds a shared flock, which ends with its last descriptor or mapping, and a file is
truncated only under the exclusive flock. A thread does this, as nothing waits for the freed space.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from shardstore.errors import DiskFull, ReadOnlyDisk, StorageFailure
from shardstore.identifiers import Buffer, DirectoryIdentity
from shardstore.limits import KIB, MIB

_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_DENIED = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))
_CLOSED = 2**31 - 1
"""An invalid descriptor: every system call on it fails."""
_BUFFERS_PER_CALL = 1024
"""IOV_MAX of Linux."""
_JOINED_BYTES_MAX = 4 * KIB
"""Fewer bytes are joined before they are written: the system takes longer for several buffers than the copy does."""
REMOVED_AT_ONCE_BYTES = MIB
_ANOTHER_DIRECTORY = (
    "the data directory {} was moved, removed or unmounted while the cluster runs: bring it back, or stop the cluster"
)
_CUT_LATER_MAX = 64
"""Maximum number of removed files that wait to be truncated. Beyond it, the caller truncates them at once."""


class PosixFile:
    """An open file. `sync` may run in another thread than the other methods."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._sync_lock = threading.Lock()
        self._sync_failure: StorageFailure | None = None

    @property
    def path(self) -> str:
        """The path under which the file was opened."""
        return self._path

    def size(self) -> int:
        """Return the size of the file in bytes."""
        with _errors_named("stat", self._path):
            return os.fstat(self._descriptor).st_size

    def append(self, buffers: Sequence[Buffer]) -> None:
        """Append all bytes to the file, without syncing it."""
        try:
            while len(buffers) > _BUFFERS_PER_CALL:
                _write_all(self._descriptor, buffers[:_BUFFERS_PER_CALL])
                buffers = buffers[_BUFFERS_PER_CALL:]
            _write_all(self._descriptor, buffers)
        except OSError as error:
            raise failure_of("append to", self._path, error) from error

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to `length` bytes; fewer only at the end of the file."""
        with _errors_named("read", self._path):
            data = os.pread(self._descriptor, length, offset)
            while len(data) < length:
                more = os.pread(self._descriptor, length - len(data), offset + len(data))
                if not more:
                    break
                data += more
            return data

    def truncate(self, length: int) -> None:
        """Cut the file to `length` bytes."""
        with _errors_named("truncate", self._path):
            os.ftruncate(self._descriptor, length)

    def sync(self) -> None:
        """Put content and size on stable storage, and check that the file still has a name.

        The lock prevents `close` from releasing the descriptor meanwhile.
        """
        with self._sync_lock:
            if self._sync_failure is not None:
                raise self._sync_failure
            try:
                os.fdatasync(self._descriptor)
                names = os.fstat(self._descriptor).st_nlink
            except OSError as error:
                self._sync_failure = failure_of("sync", self._path, error)
                raise self._sync_failure from error
            if not names:
                self._sync_failure = StorageFailure(f"{self._path} was removed while it was written")
                raise self._sync_failure

    def drop_cache(self) -> None:
        """Drop clean pages from the system's cache, so that the next read comes from the disk."""
        with _errors_named("drop the cache of", self._path):
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Close the descriptor. Closing twice is allowed."""
        with self._sync_lock:
            descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            os.close(descriptor)


class PosixLock:
    """An flock on an open descriptor. It ends with the descriptor, and so with the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock. Releasing twice is allowed."""
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            os.close(descriptor)


class PosixFilesystem:
    """The files below one directory."""

    def __init__(self, root: str, expected: DirectoryIdentity | None = None) -> None:
        """Open the directory, which must be the expected one. If none is expected, create it if it is missing."""
        try:
            if expected is None:
                os.makedirs(root, _DIRECTORY_MODE, exist_ok=True)
                with suppress(PermissionError):  # a user who may not read the parent has not created the name in it
                    _sync_and_close(os.open(os.path.join(root, os.pardir), _DIRECTORY))
            self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            found = os.fstat(self._root)
        except OSError as error:
            if expected is not None and isinstance(error, FileNotFoundError):
                raise StorageFailure(_ANOTHER_DIRECTORY.format(root)) from error
            raise _unusable(root, error) from error
        if expected is not None and (found.st_dev, found.st_ino) != expected:
            os.close(self._root)
            raise StorageFailure(_ANOTHER_DIRECTORY.format(root))
        self._unsyncable: dict[str, StorageFailure] = {}
        self._cutter = _Cutter()

    def create(self, path: str) -> PosixFile:
        """Create an empty file, open for appending and reading. Raises FileExistsError."""
        return PosixFile(path, self._hold("create", path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL))

    def open(self, path: str) -> PosixFile:
        """Open an existing file for reading. Raises FileNotFoundError."""
        return PosixFile(path, self._hold("open", path, os.O_RDONLY))

    def map(self, path: str) -> memoryview:
        """Map the whole file read-only. The mapping lives as long as the view or a slice of it."""
        descriptor = self._hold("map", path, os.O_RDONLY)
        try:
            with _errors_named("map", path):
                size = os.fstat(descriptor).st_size
                return memoryview(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)) if size else memoryview(b"")
        finally:
            os.close(descriptor)

    def rename(self, source: str, target: str) -> None:
        """Rename the file, replacing any file that has the new name; or a directory, to a name that nothing has."""
        with _errors_named("rename", source):
            os.rename(_inside(source), _inside(target), src_dir_fd=self._root, dst_dir_fd=self._root)

    def link(self, source: str, target: str) -> None:
        """Give the file a second name. Raises FileNotFoundError, FileExistsError."""
        names = _inside(source), _inside(target)
        with _errors_named("link", source):
            os.link(*names, src_dir_fd=self._root, dst_dir_fd=self._root, follow_symlinks=False)

    def remove(self, path: str) -> None:
        """Remove a file's name. Raises FileNotFoundError."""
        with _errors_named("remove", path):
            os.unlink(_inside(path), dir_fd=self._root)

    def remove_gradually(self, path: str) -> None:
        """Remove a file's name; if it was the last one, truncate the file later. Raises FileNotFoundError."""
        descriptor = self._open("remove", path, os.O_RDWR | _SAFE)
        try:
            with _errors_named("remove", path):
                os.unlink(_inside(path), dir_fd=self._root)
                if not os.fstat(descriptor).st_nlink and _try_exclusive(descriptor):
                    self._cutter.cut(os.dup(descriptor))
        finally:
            os.close(descriptor)

    def make_directory(self, path: str) -> None:
        """Create the directory and its missing parents, durably.

        Existing directories are synced too: the process that created them may have been killed before it did so.
        """
        parts = _inside(path).split("/")
        for depth in range(1, len(parts) + 1):
            directory = "/".join(parts[:depth])
            with _errors_named("make directory", directory):
                try:
                    os.mkdir(directory, _DIRECTORY_MODE, dir_fd=self._root)
                except FileExistsError:
                    os.close(os.open(directory, _DIRECTORY, dir_fd=self._root))
            self.sync_directory("/".join(parts[: depth - 1]))

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory. Raises FileNotFoundError."""
        with _errors_named("remove directory", path):
            os.rmdir(_inside(path), dir_fd=self._root)

    def list_directory(self, path: str) -> list[str]:
        """Return the names in a directory, sorted; none if the directory does not exist."""
        try:
            descriptor = self._open("list", path, _DIRECTORY)
        except FileNotFoundError:
            return []
        try:
            with _errors_named("list", path):
                return sorted(os.listdir(descriptor))
        finally:
            os.close(descriptor)

    def exists(self, path: str) -> bool:
        """Whether a file or directory of that name exists."""
        try:
            with _errors_named("look up", path):
                os.stat(_inside(path), dir_fd=self._root, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def sync_directory(self, path: str) -> None:
        """Make all changes of names in the directory durable. A failure is final."""
        if path in self._unsyncable:
            raise self._unsyncable[path]
        descriptor = self._open("sync directory", path, _DIRECTORY)
        try:
            _sync_and_close(descriptor)
        except OSError as error:
            self._unsyncable[path] = failure_of("sync directory", path, error)
            raise self._unsyncable[path] from error

    def forget_failed_sync(self, path: str) -> None:
        """Let a directory be synced again whose sync failed."""
        self._unsyncable.pop(path, None)

    def lock(self, path: str) -> PosixLock | None:
        """Lock the lock file, creating it if needed; None if another process, or this one, holds it."""
        try:
            descriptor = self._open("lock", path, os.O_RDWR | os.O_CREAT | _SAFE)
        except ReadOnlyDisk:  # locking an existing file needs no write
            descriptor = self._open("lock", path, os.O_RDONLY | _SAFE)
        try:
            if _try_exclusive(descriptor):
                return PosixLock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise failure_of("lock", path, error) from error
        os.close(descriptor)
        return None

    def close(self) -> None:
        """Close the root directory. Open files stay open; every other call fails from now on. May be called twice."""
        root, self._root = self._root, _CLOSED
        if root != _CLOSED:
            os.close(root)

    def _hold(self, operation: str, path: str, flags: int) -> int:
        """Open a file that is not truncated as long as this descriptor, or a mapping of it, exists."""
        descriptor = self._open(operation, path, flags | _SAFE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # the file is being removed
            os.close(descriptor)
            raise FileNotFoundError(path) from None
        except OSError as error:
            os.close(descriptor)
            raise failure_of(operation, path, error) from error
        return descriptor

    def _open(self, operation: str, path: str, flags: int) -> int:
        with _errors_named(operation, path):
            return os.open(_inside(path), flags, _FILE_MODE, dir_fd=self._root)


def _inside(path: str) -> str:
    """Return the path if it stays below the root; "" is the root itself. Raises ValueError."""
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} leaves the root of the filesystem")
    return path or "."


def _write_all(descriptor: int, buffers: Sequence[Buffer]) -> None:
    size = sum(map(len, buffers))
    short = size <= _JOINED_BYTES_MAX
    missing = size - (os.write(descriptor, b"".join(buffers)) if short else os.writev(descriptor, buffers))
    if not missing:
        return
    rest = memoryview(b"".join(buffers))
    while missing:
        missing -= os.write(descriptor, rest[-missing:])


class _Cutter:
    """Truncates removed files, one after the other, in a thread that ends when there are no more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[int] = deque()

    def cut(self, descriptor: int) -> None:
        """Truncate the file of this descriptor some time later, then close the descriptor."""
        with self._lock:
            is_first = not self._waiting
            is_full = len(self._waiting) == _CUT_LATER_MAX
            if not is_full:
                self._waiting.append(descriptor)
        if is_full:
            _cut_and_close(descriptor)
        elif is_first:
            threading.Thread(target=self._cut_all, name="remove files", daemon=True).start()

    def _cut_all(self) -> None:
        while True:
            _cut_and_close(self._waiting[0])
            with self._lock:
                self._waiting.popleft()
                if not self._waiting:
                    return


def _cut_and_close(descriptor: int) -> None:
    """Truncate a file piece by piece, with a sync after each, so that other syncs wait for one piece at most.

    The first piece of the file is freed when the descriptor is closed.
    """
    with suppress(OSError):  # closing the descriptor frees whatever could not be truncated
        for length in range(os.fstat(descriptor).st_size - REMOVED_AT_ONCE_BYTES, 0, -REMOVED_AT_ONCE_BYTES):
            os.ftruncate(descriptor, length)
            os.fdatasync(descriptor)
    os.close(descriptor)


def _try_exclusive(descriptor: int) -> bool:
    """Take the exclusive flock; False if another open file description holds a flock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync_and_close(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def failure_of(operation: str, path: str, error: OSError) -> StorageFailure:
    """Return the error for a call that the operating system refused."""
    what = f"cannot {operation} {path or 'the data directory'}: {error.strerror}"
    if error.errno in _NO_ROOM:
        return DiskFull(f"disk full: {what}")
    return ReadOnlyDisk(what) if error.errno == errno.EROFS else StorageFailure(what)


def _unusable(root: str, error: OSError) -> StorageFailure:
    """Return the error for a data directory that cannot be created, or that this user may not use."""
    if error.errno in _NO_ROOM:
        return failure_of("make the data directory", root, error)
    what = "make" if not os.path.isdir(root) else "use"
    advice = "choose a place that this user may write" if error.errno in _DENIED else "choose another place"
    return StorageFailure(f"cannot {what} the data directory {root}: {error.strerror}; {advice}")


@contextmanager
def _errors_named(operation: str, path: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        raise failure_of(operation, path, error) from error
