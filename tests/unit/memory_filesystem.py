"""A filesystem in memory that loses what was not synced, fails or dies at a chosen call, and keeps a trace of calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from shardstore.errors import StorageFailure
from shardstore.identifiers import Buffer

BLOCK_BYTES = 64
"""Small, so that small tests tear."""


class Killed(BaseException):
    """The process was killed inside a filesystem call."""


class Inode:
    """Content as readers see it, content on the disk, and the blocks that differ because they wait to be written."""

    def __init__(self) -> None:
        self.cache = bytearray()
        self.disk = b""
        self.dirty: set[int] = set()


class MemoryFile:
    def __init__(self, filesystem: MemoryFilesystem, path: str, inode: Inode) -> None:
        self.path = path
        self._filesystem = filesystem
        self._inode = inode
        self._sync_failure: StorageFailure | None = None

    def size(self) -> int:
        self._filesystem.called("size", self.path)
        return len(self._inode.cache)

    def append(self, buffers: Sequence[Buffer]) -> None:
        data = b"".join(buffers)
        self._filesystem.called("append", self.path, lambda: self._extend(data[: len(data) // 2]))
        self._extend(data)

    def read_at(self, offset: int, length: int) -> bytes:
        self._filesystem.called("read_at", self.path)
        return bytes(self._inode.cache[offset : offset + length])

    def truncate(self, length: int) -> None:
        self._filesystem.called("truncate", self.path)
        del self._inode.cache[length:]
        self._inode.dirty.add(length // BLOCK_BYTES)

    def sync(self) -> None:
        if self._sync_failure is not None:
            raise self._sync_failure
        try:
            self._filesystem.called("sync", self.path)
        except StorageFailure as failure:
            self._sync_failure = failure
            self._inode.dirty.clear()  # as Linux does: the pages count as clean, and are not on the disk
            raise
        self._inode.disk = bytes(self._inode.cache)
        self._inode.dirty.clear()

    def drop_cache(self) -> None:
        self._filesystem.called("drop_cache", self.path)
        cache, disk = self._inode.cache, self._inode.disk.ljust(len(self._inode.cache), b"\0")
        for start in range(0, len(cache), BLOCK_BYTES):
            if start // BLOCK_BYTES not in self._inode.dirty:
                end = min(start + BLOCK_BYTES, len(cache))
                cache[start:end] = disk[start:end]

    def close(self) -> None:
        pass

    def _extend(self, data: bytes) -> None:
        start = len(self._inode.cache)
        self._inode.cache += data
        self._inode.dirty.update(range(start // BLOCK_BYTES, len(self._inode.cache) // BLOCK_BYTES + 1))


class MemoryLock:
    def release(self) -> None:
        pass


class MemoryFilesystem:
    """`fault(call number, operation, path)` runs before every call and may raise."""

    def __init__(self) -> None:
        self.calls = 0
        self.trace: list[str] = []
        self.fault: Callable[[int, str, str], None] = lambda number, operation, path: None
        self._live: dict[str, Inode] = {}
        self._durable: dict[str, Inode] = {}
        self._changes: list[dict[str, Inode | None]] = []

    def called(self, operation: str, path: str, half_done: Callable[[], None] = lambda: None) -> None:
        self.calls += 1
        self.trace.append(f"{operation} {path}")
        try:
            self.fault(self.calls, operation, path)
        except BaseException:
            half_done()
            raise

    def create(self, path: str) -> MemoryFile:
        self.called("create", path)
        if path in self._live:
            raise FileExistsError(path)
        inode = Inode()
        self._change({path: inode})
        return MemoryFile(self, path, inode)

    def open(self, path: str) -> MemoryFile:
        self.called("open", path)
        return MemoryFile(self, path, self._inode(path))

    def map(self, path: str) -> memoryview:
        self.called("map", path)
        return memoryview(bytes(self._inode(path).cache))

    def rename(self, source: str, target: str) -> None:
        self.called("rename", target)
        self._change({target: self._inode(source), source: None})

    def remove(self, path: str) -> None:
        self.called("remove", path)
        self._inode(path)
        self._change({path: None})

    def make_directory(self, path: str) -> None:
        self.called("make_directory", path)

    def list_directory(self, path: str) -> list[str]:
        self.called("list_directory", path)
        return sorted(name.removeprefix(f"{path}/") for name in self._live if name.startswith(f"{path}/"))

    def exists(self, path: str) -> bool:
        self.called("exists", path)
        return path in self._live

    def sync_directory(self, path: str) -> None:
        self.called("sync_directory", path)
        self._durable, self._changes = dict(self._live), []

    def lock(self, path: str) -> MemoryLock | None:
        return MemoryLock()

    def content(self, path: str) -> bytes:
        """What readers see."""
        return bytes(self._inode(path).cache)

    def paths(self) -> list[str]:
        """All files."""
        return sorted(self._live)

    def place(self, path: str, content: bytes) -> None:
        """Put a file there, durably, behind the program's back."""
        inode = Inode()
        inode.cache, inode.disk = bytearray(content), content
        self._live[path] = self._durable[path] = inode

    def erase(self, path: str) -> None:
        """Take a file away, durably, behind the program's back."""
        del self._live[path]
        self._durable.pop(path, None)

    def power_loss(self, random: Random) -> None:
        """Keep what was synced; each later block and change of a name survives by chance."""
        names = self._durable
        for change in self._changes:
            if random.random() < 0.5:
                names = {name: inode for name, inode in {**names, **change}.items() if inode is not None}
        for inode in {id(inode): inode for inode in [*names.values()]}.values():
            _lose_blocks(inode, random)
        self._live, self._durable, self._changes = dict(names), dict(names), []

    def _inode(self, path: str) -> Inode:
        if path not in self._live:
            raise FileNotFoundError(path)
        return self._live[path]

    def _change(self, change: dict[str, Inode | None]) -> None:
        self._changes.append(change)
        self._live = {name: inode for name, inode in {**self._live, **change}.items() if inode is not None}


def _lose_blocks(inode: Inode, random: Random) -> None:
    size = random.randint(*sorted((len(inode.disk), len(inode.cache))))
    if not inode.dirty and random.random() < 0.5:
        size = len(inode.disk)
    content = bytearray(inode.disk.ljust(size, b"\0")[:size])
    for block in sorted(inode.dirty):
        start = block * BLOCK_BYTES
        if start < size and random.random() < 0.5:
            survived = inode.cache[start : min(start + BLOCK_BYTES, size)]
            content[start : start + len(survived)] = survived
    inode.cache, inode.disk, inode.dirty = content, bytes(content), set()
